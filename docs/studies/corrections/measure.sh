#!/bin/bash
# Do corrections shrink from round to round? On Task04: a small nnFormer from 4 labelled cases; in each of 4 rounds it segments 4 new scans, the
# experts' labels stand in for a radiologist's correction of them, and the network trains on. 20 test cases, the same throughout.
#
#   docs/studies/corrections/measure.sh SIMTROT TASK04 OUT     # writes OUT/results.csv
set -eu
simtrot="$1 --no-gui --device ${SIMTROT_DEVICE:-cpu} --quiet"
task="$(realpath "$2")"
out="$3"
config="$(realpath "$(dirname "$0")/../../../configs/experiments/small/hippocampus.ron")"
mkdir -p "$out"
cd "$out"
python3 - "$task" <<'PY'
import json, os, shutil, sys
task = sys.argv[1]
names = sorted(os.path.basename(case["image"]) for case in json.load(open(task + "/dataset.json"))["training"])
table = {"name": "Hippocampus", "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "Anterior", "2": "Posterior"}, "numTest": 0, "test": []}
os.makedirs("data/imagesTr", exist_ok=True)
os.makedirs("data/labelsTr", exist_ok=True)
for name in names[:24]:
    for folder in ("imagesTr", "labelsTr"):
        shutil.copy(f"{task}/{folder}/{name}", f"data/{folder}/{name}")
table["training"] = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names[:24]]
table["numTraining"] = 24
json.dump(table, open("data/dataset.json", "w"), indent=1)
open("new.txt", "w").write("\n".join(names[24:40]) + "\n")
PY
training() { ls -d "$1"/trainings/finetune-*; }
mean() { python3 -c "
import csv, sys
rows = [float(row['dice']) for row in csv.DictReader(open(sys.argv[1]))]
print(f'{sum(rows) / len(rows):.4f}')" "$1/metrics.csv"; }
began=$SECONDS
$simtrot finetune "$config" --out round0 --set 'data.source={"dataset":"data"}' --set 'data.split={"hold_out":{"test":0.8334,"validation":0}}' \
    --set data.label_fraction=1 --set finetune.steps=300 --set 'finetune.optimiser={"adam_w":{"lr":1e-3,"weight_decay":3e-5}}' \
    --set 'finetune.schedule={"warmup_cosine":{"warmup":30}}'
echo "round,labelled cases,test Dice,Dice of corrected against predicted,seconds" > results.csv
echo "0,4,$(mean "$(training round0)"),,$((SECONDS - began))" >> results.csv
for round in 1 2 3 4; do
    began=$SECONDS
    network="$(training round$((round - 1)))"
    news="$(sed -n "$((4 * round - 3)),$((4 * round))p" new.txt)"
    $simtrot infer --checkpoint "$network" $(printf "$task/imagesTr/%s " $news) --out "predicted$round"
    for name in $news; do
        $simtrot add "$task/imagesTr/$name" "$task/labelsTr/$name" --to data --predicted "predicted$round/$name" --network "$network"
    done
    $simtrot learn "$network" --out "round$round"
    echo "$round,$((4 + 4 * round)),$(mean "$(training "round$round")"),$(python3 -c "
import json, sys
cases = json.load(open('data/corrections.json'))['corrections'][-4:]
dice = [label['dice'] for case in cases for label in case['labels'] if label.get('dice') is not None]
print(f'{sum(dice) / len(dice):.4f}')"),$((SECONDS - began))" >> results.csv
done
cat results.csv

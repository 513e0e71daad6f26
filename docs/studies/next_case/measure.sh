#!/usr/bin/env bash
# Does it pay to choose which case to label next? (docs/next_case.md)
#
#   bash docs/studies/next_case/measure.sh SIMTROT TASK04 OUT
#
# SIMTROT: the program. TASK04: the folder of Decathlon Task04. OUT: a folder for the trainings, and for results.csv. Called in the root of the
# repository. One training after the other. Stopped or killed, the same call goes on: what is done stays, and a training goes on from its last
# checkpoint.
#
# For each seed one network learns from 4 labelled cases drawn at random. From there 4 more are labelled, then 8 more, chosen by each rule from
# the network before, and a new network learns from scratch each time: the demo's, with AdamW, 1000 steps. At random: the first of the seed's
# order of cases, as data.label_fraction takes them, so that all rules begin with the same 4.
set -euo pipefail

simtrot=$1 data=$2 out=$3
rules=(random entropy distance combined)
seeds=(0 1 2 3 4)
training_cases=208 # of the 260 that 52 test cases leave

config=configs/experiments/small/hippocampus.ron
adamw=(--set 'finetune.optimiser={"adam_w":{"lr":1e-3,"weight_decay":3e-5}}' --set 'finetune.schedule={"warmup_cosine":{"warmup":30}}')
source=(--set "data.source={\"dataset\":\"$data\"}")
mkdir -p "$out"

# Calls the program on the CPU, with what it prints in a file of OUT.
call() { # call LOG ARGUMENTS...
    local log=$out/$1.log
    shift
    "$simtrot" --no-gui --device cpu "$@" >>"$log" 2>&1 || {
        local code=$?
        echo "failed with $code: $*; see $log" >&2
        exit "$code"
    }
}

# Trains and tests a network.
train() { # train NAME SEED SETTINGS...
    local name=$1 seed=$2 folder=$out/$1
    shift 2
    [[ -f $folder/done ]] && return 0
    local resume=()
    compgen -G "$folder/trainings/*/checkpoints" >/dev/null && resume=(--resume)
    call "$name" finetune "$config" --out "$folder" "${resume[@]}" "${source[@]}" "${adamw[@]}" --set "seed=$seed" "$@"
    touch "$folder/done"
}

# The file of a name in the folder of an experiment's only training.
of_training() { # of_training NAME FILE
    local found=("$out/$1"/trainings/*/"$2")
    [[ -f ${found[0]} && ${#found[@]} == 1 ]] || { echo "no single $2 in $out/$1" >&2; exit 1; }
    echo "${found[0]}"
}

# The names in a list of split.json, each in quotation marks, with commas between.
list() { # list NAME LIST
    awk -v key="\"$2\":" '$1 == key { on = 1; next } on && /\]/ { exit } on { gsub(/[ ,]/, ""); printf "%s%s", sep, $0; sep = "," }' \
        "$(of_training "$1" split.json)"
}

# The first N cases of a ranking, as `list` gives them.
first() { # first FOLDER N
    awk -F, -v most="$2" 'NR > 1 && NR <= most + 1 { printf "%s\"%s\"", sep, $2; sep = "," }' "$1/ranking.csv"
}

# A network from the labels of NAME and the next N cases by RULE.
grow() { # grow NAME NEXT RULE N SEED
    local name=$1 next=$2 rule=$3 more=$4 seed=$5
    if [[ ! -f $out/$next/done ]]; then
        local by=()
        [[ $rule == combined ]] || by=(--by "$rule")
        # What the network measures is the same for every rule.
        call "$next" next --checkpoint "$out/$name" --out "$out/$name/next" "${by[@]}" "${source[@]}" --count 0
        cp "$out/$name/next/ranking.csv" "$out/$next.ranking.csv"
        local pretrain labels chosen test lists
        pretrain=$(list "$name" pretrain)
        labels=$(list "$name" finetune)
        chosen=$(first "$out/$name/next" "$more")
        test=$(list "$name" test)
        lists="\"pretrain\":[$pretrain],\"finetune\":[$labels,$chosen],\"validation\":[],\"test\":[$test]"
        train "$next" "$seed" --set "data.split={\"lists\":{$lists}}" --set data.label_fraction=1
    fi
}

# A line of results.csv: means over the 52 test cases, the same labels in each.
score() { # score NAME SEED LABELS RULE
    local scores
    scores=$(awk -F, 'NR > 1 && $4 != "" { dice += $4; n++ } NR > 1 && $5 != "" { hd95 += $5; m++ } END { printf "%.5f,%.4f,%d", dice / n, hd95 / m, n }' \
        "$(of_training "$1" metrics.csv)")
    echo "$2,$3,$4,$scores" >>"$out/results.new"
}

share() { # share LABELS
    awk -v labels="$1" -v all="$training_cases" 'BEGIN { printf "%.10f", labels / all }'
}

echo "seed,labels,choice,dice,hd95_mm,scores" >"$out/results.new"
for seed in "${seeds[@]}"; do
    start=start-s$seed
    train "$start" "$seed" --set "data.label_fraction=$(share 4)"
    score "$start" "$seed" 4 random
    for rule in "${rules[@]}"; do
        if [[ $rule == random ]]; then
            for labels in 8 16; do
                train "random-$labels-s$seed" "$seed" --set "data.label_fraction=$(share "$labels")"
            done
        else
            grow "$start" "$rule-8-s$seed" "$rule" 4 "$seed"
            grow "$rule-8-s$seed" "$rule-16-s$seed" "$rule" 8 "$seed"
        fi
        for labels in 8 16; do
            score "$rule-$labels-s$seed" "$seed" "$labels" "$rule"
        done
    done
done
mv "$out/results.new" "$out/results.csv"

# Mean and standard deviation over the seeds, for the table in docs/next_case.md.
awk -F, 'NR > 1 { key = $2 "," $3; if (!(key in n)) order[++keys] = key; n[key]++; d[key] += $4; dd[key] += $4 * $4; h[key] += $5 }
    END { for (i = 1; i <= keys; i++) { key = order[i]; m = d[key] / n[key]; v = n[key] > 1 ? (dd[key] - n[key] * m * m) / (n[key] - 1) : 0
        printf "%-14s Dice %.3f (sd %.3f)  HD95 %.2f mm  %d seeds\n", key, m, sqrt(v > 0 ? v : 0), h[key] / n[key], n[key] } }' "$out/results.csv"

#!/usr/bin/env bash
# Which layers of an encoder that SimTROT-W pre-trained harm the fine-tuning on the brain? (docs/results.md)
#
#   bash docs/studies/brain_layers/measure.sh SIMTROT OUT
#
# SIMTROT: the program. OUT: a folder for the trainings and for results.csv. Called in the root of the repository, with the dataset where
# configs/experiments/small/brain.ron has it. About 12 minutes of one core.
#
# The small nnFormer has a stem of convolutions and two stages; its decoder starts from the second and takes the first as a skip. Of the encoder that
# small/brain_selection.ron pre-trains (400 steps, seed 0), some layers are handed over and the others are an untrained encoder's; everything is then
# fine-tuned as there, on 2 labelled brains, and scored on its 5 validation brains.
set -euo pipefail
simtrot=$1 out=$2
export RAYON_NUM_THREADS=1
call() { "$simtrot" --no-gui --device cpu "$@"; }

mkdir -p "$out"
call run configs/experiments/small/brain_selection.ron --out "$out/selection" --only seed=0 --only "label fraction=0.2" --only fine-tuning=plain \
    --only pre-training=SimTROT-W
trained=$(ls -d "$out"/selection/trainings/pretrain-*)
config=$(ls "$out"/selection/trainings/finetune-pretrained-*/config.ron)

# An untrained encoder: one step at a rate that moves nothing.
[ -d "$out/untrained" ] || call pretrain "$config" --out "$out/untrained" --set pretrain.steps=1 --set pretrain.probe_every=1 \
    --set 'pretrain.optimiser={"adam_w":{"lr":1e-8,"weight_decay":0}}' --set pretrain.schedule=constant
untrained=$(ls -d "$out"/untrained/trainings/pretrain-*)

hand_over() { # hand_over NAME PARTS: both as they are in the checkpoint
    [ -d "$out/mixed_$1" ] ||
        python3 docs/studies/brain_layers/mix.py "$trained/checkpoints/last" "$untrained/checkpoints/last" "$out/mixed_$1" "$2"
    [ -d "$out/$1" ] || call finetune "$config" --from "$out/mixed_$1" --out "$out/$1"
}
hand_over stem patch_embed
hand_over stem_and_first_stage patch_embed,layers.0,model_down.norm0
hand_over second_stage layers.1,model_down.norm1

dice() { awk -F, -v arm="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $at["arm"] == arm && $at["label"] == "mean" { print $at["dice"] "," $at["hd95"]; exit }' "$1"; }
{
    echo "from SimTROT-W,dice,hd95_mm"
    echo "nothing (from scratch),$(dice "$out/selection/results.csv" scratch)"
    for part in stem stem_and_first_stage second_stage; do echo "$part,$(dice "$out/$part/results.csv" pretrained)"; done
    echo "everything,$(dice "$out/selection/results.csv" pretrained)"
} | tee "$out/results.csv"

#!/bin/bash
# Packs the finished fine-tunings of an experiment, small enough to be kept: settings, split, scores and events (of steps every 25th; the home folder
# as ~, paths from trainings/ on), without weights and segmentations. Unpacked beside an experiment they count as done, so that it goes on from there.
#
#   docs/studies/pack.sh runs/NAME                                             # writes docs/studies/NAME/{trainings.tar.xz, CSV tables}
#   mkdir -p runs && tar -xJf docs/studies/NAME/trainings.tar.xz -C runs       # then: simtrot run CONFIG
set -eu
experiment="${1%/}"
name="$(basename "$experiment")"
kept="$(mktemp -d)"
trap 'rm -rf "$kept"' EXIT
mkdir -p "$kept/$name/trainings" "docs/studies/$name"
cp "$experiment"/config.ron "$experiment"/contents.json "$kept/$name/"
for training in "$experiment"/trainings/finetune-*; do
    [ -f "$training/metrics.csv" ] || continue
    own="$kept/$name/trainings/$(basename "$training")"
    mkdir "$own"
    cp "$training"/{config.ron,environment.json,split.json,metrics.csv} "$own/"
    awk '!/"event":"step"/ || ++steps % 25 == 0' "$training/events.jsonl" | sed -e "s#$HOME#~#g" -e 's#"/[^"]*/trainings/#"trainings/#g' > "$own/events.jsonl"
done
tar -C "$kept" -cf - "$name" | xz -9e > "docs/studies/$name/trainings.tar.xz"
cp "$experiment"/*.csv "docs/studies/$name/"

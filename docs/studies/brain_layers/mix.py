"""Puts a checkpoint together from two of the same network: tensors whose name holds one of KEPT from the first, the others from the second.

    python docs/studies/brain_layers/mix.py FIRST SECOND OUT KEPT[,KEPT...]

FIRST, SECOND: folders of checkpoints (`checkpoints/last` of a training). OUT: the new folder, which must not be there yet.
"""

import json
import shutil
import struct
import sys


def read(folder):
    data = open(f"{folder}/weights.safetensors", "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


first, second, out, kept = sys.argv[1:5]
shutil.copytree(first, out)
ours, theirs = read(first), read(second)
if ours[0].keys() != theirs[0].keys():
    sys.exit("the checkpoints hold different tensors")
head, body, taken = {}, b"", 0
for name in ours[0]:
    if name == "__metadata__":
        head[name] = ours[0][name]
        continue
    is_kept = any(part in name for part in kept.split(","))
    taken += is_kept
    own, values = ours if is_kept else theirs
    begin, end = own[name]["data_offsets"]
    head[name] = {**own[name], "data_offsets": [len(body), len(body) + end - begin]}
    body += values[begin:end]
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
with open(f"{out}/weights.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + body)
print(f"{out}: {taken} of {len(head) - ('__metadata__' in head)} tensors from {first}")

"""Training on one GPU in pieces of a few minutes.

The data is one file, and pictures are processed entirely on the device.

    pack       the file: faces as JPEG, with boxes, landmarks and what is known of each
    packing    makes it from data sets, within a number of megabytes (`facewarden pack`)
    stock      the same in the device's memory, and crops of it
    mix        which faces are paired in a batch
    forging    pseudo-fakes, made on the device
    wear       what the world does to pictures, on the device
    config     what a run is asked to do
    heads      the network with its auxiliary heads, and the file of a finished run
    loop       the training, resumable
    scores     the scores of clips that a run never saw
    __main__   `python -m models.training.gpu`
    export     a finished run as a checkpoint (`facewarden export-gpu`)

`python -m models.training.gpu` needs torch, timm, safetensors, numpy and Pillow, and nothing else that the
project installs: a rented machine has these. It runs on a CPU too, slowly: tests do that.
"""

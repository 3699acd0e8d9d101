"""Training on one GPU in pieces of a few minutes: the data are one file, all that happens to a picture happens
on the device.

    pack      the file: faces as JPEG, with boxes, landmarks and what is known of each
    stock     the same in the device's memory, and crops of it
    mix       which faces stand beside each other in a batch
    forging   pseudo-fakes, made on the device
    wear      what the world does to pictures, on the device
    loop      the training, resumable
    scores    how well it tells the faces of the other side apart, by method

It runs on a CPU too, slowly: tests do that.
"""

"""MTCNN (Zhang et al., 2016) with facenet-pytorch's weights: the faces of its own code, found faster.

Three networks look one after another: P-net at every place of a pyramid of the picture, R-net at what P-net
proposes, O-net at what R-net leaves.

    pyramid     the picture's copies, each smaller than the one before, on one canvas
    patches     squares cut from pictures and averaged down to a network's size
    networks    the three networks: the interface, and torch
    openvino_networks   the same by OpenVINO, on a CPU
    cascade     from pictures to boxes and landmarks
"""

"""Hostile files by the thousand: `make fuzz`, or `python -m fuzz --files 3000 --seed 7`.

seeds      small valid files of every container and still that is screened
mutations  ways to spoil a file that was valid
hostile    files made to harm: bombs, references to other files and addresses, deep nesting, polyglots
canary     files and an address that nobody may touch, and the proof that a touch is seen
screener   the process that screens them, as a worker does
campaign   gives the files to screeners, watches these, and counts
"""

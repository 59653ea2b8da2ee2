python3 medians.py 7 12000

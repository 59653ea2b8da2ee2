python3 medians.py 81 9000

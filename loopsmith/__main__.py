from loopsmith.cli import main

main()

options --json
help quit
help bt

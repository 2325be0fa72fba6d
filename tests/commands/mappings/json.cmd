options --json
mappings main.main

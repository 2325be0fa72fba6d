core abba-go1.27.4
mappings
mappings main.main
maps $rsp
mappings 1
mappings nowhere

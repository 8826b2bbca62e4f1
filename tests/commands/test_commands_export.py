def test_export(run):
    run("seed")
    code, out, err = run("export", "kitchen.json", "kitchen-sink")
    assert (code, err) == (0, [])
    assert out == ["kitchen.json: 7 spans, 1 trace"]
    assert run("export", "all.parquet")[1] == ["all.parquet: 47 spans, 2 traces"]
    assert run("ingest", "kitchen.json")[1][2] == "Trace 'kitchen-sink' (kitchen-sink): 0 spans added, 0 updated, 7 unchanged"
    code, _, err = run("export", "all.txt")
    assert code == 1
    assert err[0].startswith("tokenvis: path='all.txt' has none of the suffixes ")

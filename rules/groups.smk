"""
Search indicator weights by asking groups of rows.

READS   results/{dataset}/pool.parquet, tiny.parquet, confirm.parquet, irt.parquet
        .../indicators/{indicator}.parquet       the columns of the method's card
        results/{dataset}/targets.parquet        probes by likelihood and by training
WRITES  results/{dataset}/{model}/{method}/s{seed}/probes.json   with `probe: auto`
        .../trace.parquet, timings.parquet, weights.json
        .../groups.parquet, values.parquet       every group asked; values of rows
        .../ledger.jsonl                         survives kills; not an output
PAPER   none: ours (docs/explanation/groups.md, probes.md)
"""


rule compare_probes:
    input:
        indicators=lambda w: dag.indicators.indicator_files(
            w.dataset, w.model, w.method
        ),
        history=lambda w: dag.tiny.history_files(w.dataset),
        pool="results/{dataset}/pool.parquet",
        questions="results/{dataset}/questions_reward.parquet",
        tiny=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "tiny"),
        confirm=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "confirm"),
        model="results/models/{model}.json",
        targets="results/{dataset}/targets.parquet",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/probes.json",
    log:
        "results/logs/compare_probes/{dataset}/{model}/{method}/s{seed}.log",
    benchmark:
        "results/benchmarks/compare_probes/{dataset}/{model}/{method}/s{seed}.tsv"
    wildcard_constraints:
        method=one_of(dag.methods.asking_groups(METHODS)),
    # On the longest path through the graph: starts before trainings that can wait.
    priority: 1
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.model)
    resources:
        gpu=lambda w: dag.machines.gpus_to_answer(w.model),
        mem_mb=lambda w, attempt: memory("compare_probes", w.model, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.model, "search_weights"),
        attempt=number,
    params:
        ledger="results/{dataset}/{model}/{method}/s{seed}/ledger.jsonl",
        card=lambda w: dag.params.of(
            "compare_probes", dataset=w.dataset, model=w.model, method=w.method
        ),
        code=fingerprint("compare_probes"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " compare-probes {wildcards.dataset} {wildcards.model} {wildcards.method}"
        " --seed {wildcards.seed} --pool {input.pool} --questions {input.questions}"
        " --tiny {input.tiny} --confirm {input.confirm} --history '{input.history}'"
        " --model-file {input.model} --ledger {params.ledger}"
        " --targets {input.targets} --output {output}"
        " -- {input.indicators} 2>&1 | tee {log}"


rule search_groups:
    input:
        indicators=lambda w: dag.indicators.indicator_files(
            w.dataset, w.model, w.method
        ),
        history=lambda w: dag.tiny.history_files(w.dataset),
        pool="results/{dataset}/pool.parquet",
        questions="results/{dataset}/questions_reward.parquet",
        tiny=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "tiny"),
        confirm=lambda w: dag.tiny.tiny_file(w.dataset, w.method, "confirm"),
        model="results/models/{model}.json",
        targets=lambda w: dag.groups.targets_file(w.dataset, w.method),
        compared=lambda w: dag.groups.probes_file(**w),
    output:
        trace="results/{dataset}/{model}/{method}/s{seed}/trace.parquet",
        timings="results/{dataset}/{model}/{method}/s{seed}/timings.parquet",
        weights="results/{dataset}/{model}/{method}/s{seed}/weights.json",
        groups="results/{dataset}/{model}/{method}/s{seed}/groups.parquet",
        values="results/{dataset}/{model}/{method}/s{seed}/values.parquet",
    log:
        "results/logs/search_groups/{dataset}/{model}/{method}/s{seed}.log",
    benchmark:
        "results/benchmarks/search_groups/{dataset}/{model}/{method}/s{seed}.tsv"
    wildcard_constraints:
        method=one_of(dag.methods.asking_groups(METHODS)),
    # On the longest path through the graph: starts before trainings that can wait.
    priority: 1
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(w.model)
    resources:
        gpu=lambda w: dag.machines.gpus_to_answer(w.model),
        mem_mb=lambda w, attempt: memory("search_groups", w.model, w, attempt),
        runtime=lambda w: dag.machines.runtime(w.model, "search_weights"),
        attempt=number,
    params:
        ledger="results/{dataset}/{model}/{method}/s{seed}/ledger.jsonl",
        card=lambda w: dag.params.of(
            "search_groups", dataset=w.dataset, model=w.model, method=w.method
        ),
        code=fingerprint("search_groups"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " search-groups {wildcards.dataset} {wildcards.model} {wildcards.method}"
        " --seed {wildcards.seed} --pool {input.pool} --questions {input.questions}"
        " --tiny {input.tiny} --confirm {input.confirm} --history '{input.history}'"
        " --model-file {input.model} --ledger {params.ledger}"
        " --trace {output.trace} --timings {output.timings} --weights {output.weights}"
        " --groups {output.groups} --values {output.values}"
        " --targets '{input.targets}' --compared '{input.compared}'"
        " -- {input.indicators} 2>&1 | tee {log}"

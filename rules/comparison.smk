"""
Compare all methods: intervals, tests, verdicts, pictures, and one page that shows all.

READS   results/{dataset}/{model}/{method}/s{seed}/t{training_seed}/predictions.parquet,
        train.json; weights.json, trace.parquet and certificates of searches
        results/{dataset}/questions_test.parquet, tiny.parquet, confirm.parquet
        results/{dataset}/{model}/{method}/s{seed}/subset.parquet and indicator columns
WRITES  results/{dataset}/{model}/metrics.json, accuracy.png, search.png, report.html
        results/{dataset}/{model}/looks/{look}.json    verdict: {sequential: true} only
PAPER   section 4.2
"""


# `verdict:` in the config. Whether the primary claim is decided, or needs more runs.
checkpoint take_look:
    input:
        lambda w: dag.comparison.looked_at(w.dataset, w.model, SETTINGS, int(w.look)),
    output:
        "results/{dataset}/{model}/looks/{look}.json",
    log:
        "results/logs/take_look/{dataset}/{model}/{look}.log",
    wildcard_constraints:
        look="[0-9]+",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        plan=lambda w: dag.comparison.plan_text(SETTINGS),
        card=lambda w: dag.params.of("take_look", dataset=w.dataset),
        code=fingerprint("take_look"),
    shell:
        "tmap take-look {wildcards.dataset} {wildcards.model} --plan '{params.plan}'"
        " --output {output} -- {input} 2>&1 | tee {log}"


rule collect_metrics:
    input:
        questions="results/{dataset}/questions_test.parquet",
        pool="results/{dataset}/pool.parquet",
        rejected="results/{dataset}/pool.rejected.parquet",
        tiny="results/{dataset}/tiny.parquet",
        confirm="results/{dataset}/confirm.parquet",
        anchors=lambda w: dag.tiny.own_anchors(w.dataset, SETTINGS.methods),
        model="results/models/{model}.json",
        looks=looks_of,
        measured=lambda w: dag.comparison.measured(
            w.dataset,
            w.model,
            SETTINGS.methods,
            seeds_of(w, is_unfinished(w)),
            SETTINGS.certify,
        ),
        cards=lambda w: dag.selection.data_cards(
            w.dataset, w.model, SETTINGS.methods, seeds_of(w, is_unfinished(w))
        ),
    output:
        metrics="results/{dataset}/{model}/metrics.json",
        accuracy=report(
            "results/{dataset}/{model}/accuracy.png",
            category="{dataset}",
            labels={"model": "{model}", "figure": "accuracy by method"},
        ),
        search=report(
            "results/{dataset}/{model}/search.png",
            category="{dataset}",
            labels={"model": "{model}", "figure": "reward by iteration"},
        ),
    log:
        "results/logs/collect_metrics/{dataset}/{model}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        plan=lambda w: dag.comparison.plan_text(SETTINGS),
        card=lambda w: dag.params.of("collect_metrics", dataset=w.dataset),
        code=fingerprint("collect_metrics"),
    shell:
        "tmap collect-metrics {wildcards.dataset} {wildcards.model}"
        " --questions {input.questions} --pool {input.pool}"
        " --rejected {input.rejected} --tiny {input.tiny} --confirm {input.confirm}"
        " --anchors '{input.anchors}' --model-file {input.model}"
        " --plan '{params.plan}' --output {output.metrics} --accuracy-plot {output.accuracy}"
        " --search-plot {output.search}"
        " -- {input.measured}"
        " 2>&1 | tee {log}"


rule write_page:
    input:
        metrics="results/{dataset}/{model}/metrics.json",
        questions="results/{dataset}/questions_test.parquet",
        pool="results/{dataset}/pool.parquet",
        rejected="results/{dataset}/pool.rejected.parquet",
        model="results/models/{model}.json",
        measured=lambda w: dag.comparison.measured(
            w.dataset, w.model, SETTINGS.methods, seeds_of(w), SETTINGS.certify
        ),
        shown=lambda w: dag.comparison.shown(
            w.dataset, w.model, SETTINGS.methods, seeds_of(w)
        ),
    output:
        report(
            "results/{dataset}/{model}/report.html",
            category="{dataset}",
            labels={"model": "{model}", "figure": "the result on one page"},
        ),
    log:
        "results/logs/write_page/{dataset}/{model}.log",
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("write_page", model=w.model),
        code=fingerprint("write_page"),
    shell:
        "tmap write-page {wildcards.model} --metrics {input.metrics}"
        " --questions {input.questions} --pool {input.pool}"
        " --rejected {input.rejected} --model-file {input.model} --output {output}"
        " -- {input.measured} {input.shown}"
        " 2>&1 | tee {log}"

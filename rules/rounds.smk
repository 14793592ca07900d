"""
Generate candidates, select, train, and repeat, for methods whose card has `rounds:`.

READS   results/{dataset}/targets.parquet, question_ngrams.parquet
WRITES  results/{dataset}/{model}/{method}/s{seed}/r{round}/pool.parquet, pool.rejected.parquet
        .../r{round}/gradients/, indicators/     as for a pool; the proxy has the adapter
                                                 of the previous round
        .../r{round}/subset.parquet, chosen.parquet, t0/adapter/, t0/train.json
        results/{dataset}/{model}/{method}/s{seed}/subset.parquet, chosen.parquet
                                                 after the last round, for training.smk
        results/store/                           texts of the generator; not an output
PAPER   EvoSelect
"""

IN_ROUNDS = [name for name in METHODS if dag.methods.rounds_of(name)]
ROUND = "results/{dataset}/{model}/{method}/s{seed}/r{round}"


rule generate_candidates:
    input:
        model=lambda w: [
            dag.data.model_file(name)
            for name in [dag.rounds.generator_model(w.method)]
            if name
        ],
        earlier=lambda w: dag.rounds.round_files(w, int(w.round) - 1, "pool.parquet"),
        targets="results/{dataset}/targets.parquet",
        ngrams="results/{dataset}/question_ngrams.parquet",
    output:
        pool="results/{dataset}/{model}/{method}/s{seed}/r{round}/pool.parquet",
        rejected="results/{dataset}/{model}/{method}/s{seed}/r{round}/pool.rejected.parquet",
    log:
        "results/logs/generate_candidates/{dataset}/{model}/{method}/s{seed}/r{round}.log",
    benchmark:
        "results/benchmarks/generate_candidates/{dataset}/{model}/{method}/s{seed}/r{round}.tsv"
    wildcard_constraints:
        method=one_of(IN_ROUNDS),
    conda:
        ENVIRONMENT
    threads: lambda w: dag.machines.threads(dag.rounds.generator_model(w.method))
    resources:
        gpu=lambda w: dag.machines.gpu(dag.rounds.generator_model(w.method)),
        mem_mb=lambda w, attempt: memory(
            "generate_candidates",
            dag.rounds.generator_model(w.method),
            w,
            attempt,
        ),
        runtime=lambda w: dag.machines.generator_minutes(w.method),
        attempt=number,
    params:
        card=lambda w: dag.params.of(
            "generate_candidates", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("generate_candidates"),
    shell:
        "tmap --job {log} {resources.attempt} {resources.runtime}"
        " generate-candidates {wildcards.dataset} {wildcards.method}"
        " {wildcards.round} --targets {input.targets} --ngrams {input.ngrams}"
        " --model-file '{input.model}' --earlier '{input.earlier}'"
        " --output {output.pool} --rejected {output.rejected} 2>&1 | tee {log}"


use rule gradients as gradients_of_round with:
    input:
        warm=dag.rounds.round_adapter,
        pool=f"{ROUND}/pool.parquet",
        targets="results/{dataset}/targets.parquet",
        model=lambda w: dag.data.model_file(dag.gradients.proxy_of(w.dataset, w.model)),
    output:
        candidates=f"{ROUND}/gradients/candidates.parquet",
        vectors=f"{ROUND}/gradients/candidates.npy",
        questions=f"{ROUND}/gradients/questions.parquet",
        aims=f"{ROUND}/gradients/questions.npy",
    log:
        "results/logs/gradients/{dataset}/{model}/{method}/s{seed}/r{round}.log",
    benchmark:
        "results/benchmarks/gradients/{dataset}/{model}/{method}/s{seed}/r{round}.tsv"
    wildcard_constraints:
        method=one_of(IN_ROUNDS),
    threads: lambda w: dag.machines.threads(dag.gradients.proxy_of(w.dataset, w.model))
    resources:
        gpu=lambda w: dag.machines.gpu(dag.gradients.proxy_of(w.dataset, w.model)),
        mem_mb=lambda w, attempt: memory(
            "gradients", dag.gradients.proxy_of(w.dataset, w.model), w, attempt
        ),
        runtime=lambda w: dag.machines.runtime(
            dag.gradients.proxy_of(w.dataset, w.model), "gradients"
        ),
        attempt=number,
    params:
        folder=lambda w, output: str(Path(output.candidates).parent),
        proxy=lambda w: dag.gradients.proxy_of(w.dataset, w.model),
        card=lambda w: dag.params.of(
            "gradients",
            dataset=w.dataset,
            proxy=dag.gradients.proxy_of(w.dataset, w.model),
        ),
        code=fingerprint("gradients"),


use rule score_indicator as score_indicator_of_round with:
    input:
        models=[],
        columns=[],
        embeddings=[],
        shards=[],
        gradients=dag.rounds.round_gradients,
        pool=f"{ROUND}/pool.parquet",
    output:
        f"{ROUND}/indicators/{{indicator}}.parquet",
    log:
        "results/logs/score_indicator/{dataset}/{model}/{method}/s{seed}/r{round}/{indicator}.log",
    benchmark:
        "results/benchmarks/score_indicator/{dataset}/{model}/{method}/s{seed}/r{round}/{indicator}.tsv"
    wildcard_constraints:
        method=one_of(IN_ROUNDS),


rule select_round:
    input:
        indicators=lambda w: dag.rounds.round_columns(w, int(w.round)),
        earlier=lambda w: [
            file
            for name in ("subset.parquet", "chosen.parquet")
            for file in dag.rounds.round_file(w, int(w.round) - 1, name)
        ],
        pools=lambda w: dag.rounds.round_files(w, int(w.round), "pool.parquet"),
    output:
        subset="results/{dataset}/{model}/{method}/s{seed}/r{round}/subset.parquet",
        chosen="results/{dataset}/{model}/{method}/s{seed}/r{round}/chosen.parquet",
    log:
        "results/logs/select_round/{dataset}/{model}/{method}/s{seed}/r{round}.log",
    wildcard_constraints:
        method=one_of(IN_ROUNDS),
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("select_round", dataset=w.dataset, method=w.method),
        code=fingerprint("select_round"),
    shell:
        "tmap select-round {wildcards.dataset} {wildcards.method}"
        " --seed {wildcards.seed} --pools '{input.pools}' --earlier '{input.earlier}'"
        " --output {output.subset} --chosen {output.chosen}"
        " -- {input.indicators} 2>&1 | tee {log}"


use rule select_round as select_last_round with:
    input:
        indicators=lambda w: dag.rounds.round_columns(
            w, dag.methods.rounds_of(w.method)
        ),
        earlier=lambda w: [
            file
            for name in ("subset.parquet", "chosen.parquet")
            for file in dag.rounds.round_file(
                w, dag.methods.rounds_of(w.method) - 1, name
            )
        ],
        pools=lambda w: dag.rounds.round_files(
            w, dag.methods.rounds_of(w.method), "pool.parquet"
        ),
    output:
        subset="results/{dataset}/{model}/{method}/s{seed}/subset.parquet",
        chosen="results/{dataset}/{model}/{method}/s{seed}/chosen.parquet",
    log:
        "results/logs/select_round/{dataset}/{model}/{method}/s{seed}/last.log",


use rule train_adapter as train_adapter_of_round with:
    input:
        subset=f"{ROUND}/subset.parquet",
        pool=f"{ROUND}/chosen.parquet",
        model="results/models/{model}.json",
    output:
        weights=ADAPTER(f"{ROUND}/t{{training_seed}}/adapter/adapter_model.safetensors"),
        config=ADAPTER(f"{ROUND}/t{{training_seed}}/adapter/adapter_config.json"),
        report=f"{ROUND}/t{{training_seed}}/train.json",
    log:
        "results/logs/train_adapter/{dataset}/{model}/{method}/s{seed}/r{round}/t{training_seed}.log",
    benchmark:
        "results/benchmarks/train_adapter/{dataset}/{model}/{method}/s{seed}/r{round}/t{training_seed}.tsv"
    wildcard_constraints:
        method=one_of(IN_ROUNDS),

"""
Select, train and measure parts of a selection: other sizes, and sentinels.

READS   the inputs of select_subset, train_adapter and evaluate_adapter
        results/{dataset}/{model}/{method}/s{seed}/sentinels.json      parts k0, k1, ...
WRITES  results/{dataset}/{model}/{method}/s{seed}/{part}/subset.parquet
        .../{part}/t{training_seed}/adapter/, train.json, predictions.parquet
        .../{part}/shown/predictions.parquet      its rows as demonstrations, untrained
        results/{dataset}/{model}/reward_answers.parquet     untrained, reward questions
        part: f0.1 (a share), n16 (rows), k3 (a sentinel; asked reward questions only)
PAPER   Tables 8 and 9; the accuracy-against-share curve and the certificate are ours
"""


use rule select_subset as select_part with:
    input:
        indicators=lambda w: dag.indicators.indicator_files(
            w.dataset, w.model, w.method
        ),
        weights=lambda w: dag.variants.part_weights(**w),
        labels=lambda w: dag.selection.labels_file(w.dataset, w.method),
        values=lambda w: dag.search.values_file(w.dataset, w.model, w.method, w.seed),
        embeddings=lambda w: dag.indicators.embeddings_of_method(
            w.dataset, w.model, w.method
        ),
        pool="results/{dataset}/pool.parquet",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/{part}/subset.parquet",
    log:
        "results/logs/select_subset/{dataset}/{model}/{method}/s{seed}/{part}.log",
    params:
        part="--part {part}",
        card=lambda w: dag.params.of(
            "select_subset", dataset=w.dataset, method=w.method
        ),
        code=fingerprint("select_subset"),


use rule train_adapter as train_part with:
    input:
        subset="results/{dataset}/{model}/{method}/s{seed}/{part}/subset.parquet",
        pool="results/{dataset}/pool.parquet",
        model="results/models/{model}.json",
    output:
        weights=ADAPTER(
            "results/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}/adapter/adapter_model.safetensors"
        ),
        config=ADAPTER(
            "results/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}/adapter/adapter_config.json"
        ),
        report="results/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}/train.json",
    log:
        "results/logs/train_adapter/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}.log",
    benchmark:
        "results/benchmarks/train_adapter/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}.tsv"


use rule evaluate_adapter as evaluate_part with:
    input:
        adapter="results/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}/adapter/adapter_model.safetensors",
        config="results/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}/adapter/adapter_config.json",
        questions=lambda w: dag.variants.part_questions(w.dataset, w.part),
        model="results/models/{model}.json",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}/predictions.parquet",
    log:
        "results/logs/evaluate_adapter/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}.log",
    benchmark:
        "results/benchmarks/evaluate_adapter/{dataset}/{model}/{method}/s{seed}/{part}/t{training_seed}.tsv"


use rule evaluate_adapter as evaluate_shown with:
    input:
        adapter=[],
        demos="results/{dataset}/{model}/{method}/s{seed}/{part}/subset.parquet",
        pool="results/{dataset}/pool.parquet",
        questions="results/{dataset}/questions_test.parquet",
        model="results/models/{model}.json",
    output:
        "results/{dataset}/{model}/{method}/s{seed}/{part}/shown/predictions.parquet",
    log:
        "results/logs/evaluate_adapter/{dataset}/{model}/{method}/s{seed}/{part}/shown.log",
    benchmark:
        "results/benchmarks/evaluate_adapter/{dataset}/{model}/{method}/s{seed}/{part}/shown.tsv"
    params:
        demos=lambda w, input: f"--demos {input.demos} --pool {input.pool}",
        card=lambda w: dag.params.of(
            "evaluate_adapter", dataset=w.dataset, model=w.model
        ),
        code=fingerprint("evaluate_adapter"),


use rule evaluate_adapter as evaluate_on_reward_questions with:
    input:
        adapter=[],
        questions="results/{dataset}/questions_reward.parquet",
        model="results/models/{model}.json",
    output:
        "results/{dataset}/{model}/reward_answers.parquet",
    log:
        "results/logs/evaluate_adapter/{dataset}/{model}/reward_answers.log",
    benchmark:
        "results/benchmarks/evaluate_adapter/{dataset}/{model}/reward_answers.tsv"

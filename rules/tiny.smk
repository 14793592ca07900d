"""
Shrink the reward questions to a tiny weighted set that predicts the whole.

READS   results/{dataset}/responses.parquet, questions_reward.parquet
        results/models/{encoder}.json          if an encoder embeds the questions
WRITES  results/{dataset}/embeddings/{encoder}/reward_{pooling}.parquet
        results/{dataset}/irt.parquet, abilities.parquet
        results/{dataset}/tiny.parquet, confirm.parquet
        results/{dataset}/anchors/{n_anchors}/tiny.parquet, confirm.parquet
                                            methods whose card has another S
PAPER   section 3.4, equations 3-6, appendix C.1
"""


rule fit_irt:
    input:
        "results/{dataset}/responses.parquet",
    output:
        irt="results/{dataset}/irt.parquet",
        abilities="results/{dataset}/abilities.parquet",
    log:
        "results/logs/fit_irt/{dataset}.log",
    benchmark:
        "results/benchmarks/fit_irt/{dataset}.tsv"
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        card=lambda w: dag.params.of("fit_irt", dataset=w.dataset),
        code=fingerprint("fit_irt"),
    shell:
        "tmap fit-irt {wildcards.dataset} --responses {input}"
        " --output {output.irt} --abilities {output.abilities} 2>&1 | tee {log}"


use rule embed_pool as embed_questions with:
    input:
        pool="results/{dataset}/questions_reward.parquet",
        model="results/models/{encoder}.json",
    log:
        "results/logs/embed_questions/{dataset}/{encoder}/{text}_{pooling}.log",
    benchmark:
        "results/benchmarks/embed_questions/{dataset}/{encoder}/{text}_{pooling}.tsv"
    wildcard_constraints:
        encoder=one_of(cards.names("models")),
        text="reward",
        pooling=one_of(dag.indicators.POOLINGS),


rule choose_tiny:
    input:
        questions="results/{dataset}/questions_reward.parquet",
        history=lambda w: dag.tiny.history_files(w.dataset),
        vectors=lambda w: dag.tiny.vectors_files(w.dataset),
    output:
        tiny="results/{dataset}/tiny.parquet",
        confirm="results/{dataset}/confirm.parquet",
    log:
        "results/logs/choose_tiny/{dataset}.log",
    benchmark:
        "results/benchmarks/choose_tiny/{dataset}.tsv"
    retries: 0
    localrule: True
    conda:
        ENVIRONMENT
    params:
        own="",
        card=lambda w: dag.params.of("choose_tiny", dataset=w.dataset),
        code=fingerprint("choose_tiny"),
    shell:
        "tmap choose-tiny {wildcards.dataset} {params.own} --questions {input.questions}"
        " --vectors '{input.vectors}' --tiny {output.tiny} --confirm {output.confirm}"
        " -- {input.history} 2>&1 | tee {log}"


# With another size, for methods that set their own (ablations of S).
use rule choose_tiny as choose_tiny_of_size with:
    output:
        tiny="results/{dataset}/anchors/{n_anchors}/tiny.parquet",
        confirm="results/{dataset}/anchors/{n_anchors}/confirm.parquet",
    log:
        "results/logs/choose_tiny/{dataset}/{n_anchors}.log",
    benchmark:
        "results/benchmarks/choose_tiny/{dataset}/{n_anchors}.tsv"
    wildcard_constraints:
        n_anchors="[0-9]+",
    params:
        own="--n-anchors {n_anchors}",
        card=lambda w: dag.params.of(
            "choose_tiny", dataset=w.dataset, n_anchors=w.n_anchors
        ),
        code=fingerprint("choose_tiny"),

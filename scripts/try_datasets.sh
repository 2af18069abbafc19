#!/bin/sh
# Every dataset that lies in a folder, from a fresh home to a run: import, verify, audit, show, prepare, train, score, publish.
#
#   scripts/try_datasets.sh DATA [WORK]
#
# DATA holds archives, unpacked folders or folders that hold the folder; what is for which dataset is told by its name, which
# starts with the dataset's (brain-tumor-mri/, c-nmc.zip) or is the original's (all-mias.tar.gz, OCT2017/). A copy that is
# not the original is taken in as partial. WORK, by default a new temporary folder, holds the home, the results and the site.
# Multi-KD runs for one epoch with a random teacher: this shows that all works, not how well anything does.
set -eu

data=${1:?"usage: scripts/try_datasets.sh DATA [WORK]"}
work=${2:-$(mktemp -d)}
mkdir -p "$work"
export ADBENCH_HOME="$work/home" ADBENCH_RESULTS="$work/results" OMP_WAIT_POLICY=PASSIVE
adbench=${ADBENCH:-adbench}

say() { printf '\n== %s\n' "$*"; }

try() {  # dataset, source, further datasets that read the same files
    dataset=$1 source=$2
    shift 2
    say "$dataset from $source"
    if ! "$adbench" datasets import "$dataset" "$source" 2> "$work/import.log"; then
        cut -c1-300 "$work/import.log"
        "$adbench" datasets import "$dataset" "$source" --allow-partial | tail -n 2
    fi
    "$adbench" datasets verify "$dataset" | tail -n 2 || echo "partial"
    for name in "$dataset" "$@"; do
        "$adbench" datasets show "$name" --montage "$work/$name.png" | grep -E '^(counts|partial|edition|study|esmaeili2023|montage)'
        "$adbench" datasets audit "$name" > "$work/$name-audit.txt"
        grep -E '^(serious|warning|note)' "$work/$name-audit.txt" | cut -c1-110
        "$adbench" datasets split "$name" --out "$work/$name-split.tsv"
        "$adbench" run --model multikd --dataset "$name" --set teacher=random --set epochs=1 --quiet
    done
}

for source in "$data"/*; do
    case $(basename "$source" | tr '[:upper:]' '[:lower:]') in
        head-ct* | head_ct*) try head-ct "$source" ;;
        brain-tumor-mri* | brain_tumor*) try brain-tumor-mri "$source" ;;
        br35h*) try br35h "$source" ;;
        mias* | all-mias*) try mias "$source" mias-patches ;;
        retinal-oct* | oct2017*) try retinal-oct "$source" ;;
        c-nmc*) try c-nmc "$source" ;;
    esac
done

say site
"$adbench" leaderboard build --out "$work/site"

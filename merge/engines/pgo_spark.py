#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Merges profiles on Spark: workers read inputs and write partials as lines of text, a tree of pipes joins them, the driver
finishes. The result has the bytes of `pgo merge` with the same options.

    spark-submit pgo_spark.py -o OUT [--pgo PATH] [--plan PLAN] [--partitions N] [--fan-in K] INPUT...

INPUT: files, or directories of files, by paths that all executors see; with --plan (made by `pgo plan` of the same inputs)
they have its weights, else each counts once. The program `pgo` must be at the same path on every node.

From another program, with a Spark context and an RDD of paths:

    text = pgo_spark.merge(sc, rdd_of_paths, pgo="pgo", plan=None)      # the last partial, a line of text
    pgo_spark.finish(text, "merged.pb.gz")
"""
import argparse
import os
import shlex
import subprocess
import sys


def command(*words):
    return " ".join(shlex.quote(w) for w in words)


def merge(sc, paths, pgo="pgo", plan=None, fan_in=16):
    """The partial of all inputs, as a line of text; paths is an RDD of one path a record."""
    worker = [pgo, "merge", "--worker"] + (["--plan", plan] if plan else [])
    # checkCode: otherwise a worker that failed would pass for one that had nothing to say.
    partials = paths.pipe(command(*worker), checkCode=True)
    n = partials.getNumPartitions()
    while n > 1:
        n = max(1, (n + fan_in - 1) // fan_in)
        # An empty partition has nothing to join, and that is no mistake.
        join = "if read -r first; then { printf '%s\\n' \"$first\"; cat; } | " + command(pgo, "reduce", "-q", "--text", "-o", "-", "-") + "; fi"
        partials = partials.coalesce(n).pipe(command("sh", "-c", join), checkCode=True)
    lines = partials.filter(lambda line: line != "").collect()
    if not lines:
        raise RuntimeError("no partial came back: there were no inputs")
    if len(lines) == 1:
        return lines[0]
    return subprocess.run([pgo, "reduce", "-q", "--text", "-o", "-", "-"], input="\n".join(lines) + "\n", capture_output=True,
                          text=True, check=True).stdout.strip()


def finish(text, out, pgo="pgo"):
    subprocess.run([pgo, "finish", "-q", "-", "-o", out], input=text + "\n", text=True, check=True)


def files_of(inputs):
    for path in inputs:
        if not os.path.isdir(path):
            yield os.path.abspath(path)
            continue
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                if not name.startswith(".") and name != "manifest.jsonl":
                    yield os.path.abspath(os.path.join(folder, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", required=True, help="the merged profile")
    parser.add_argument("--pgo", default="pgo", help="the program, by a path that every node has")
    parser.add_argument("--plan", help="weights, as pgo plan made them of the same inputs")
    parser.add_argument("--partitions", type=int, help="tasks of the first step (default: Spark's)")
    parser.add_argument("--fan-in", type=int, default=16, help="partials that one task joins")
    parser.add_argument("input", nargs="+")
    args = parser.parse_args()
    paths = list(files_of(args.input))
    if not paths:
        sys.exit("pgo_spark: there is no file in what was named")
    if args.fan_in < 2:
        sys.exit("pgo_spark: --fan-in should be 2 or more")

    from pyspark import SparkContext

    with SparkContext(appName="pgo merge") as sc:
        rdd = sc.parallelize(paths, args.partitions or min(len(paths), sc.defaultParallelism))
        text = merge(sc, rdd, args.pgo, args.plan and os.path.abspath(args.plan), args.fan_in)
    finish(text, args.output, args.pgo)


if __name__ == "__main__":
    main()

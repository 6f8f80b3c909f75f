#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shards by Spark, with executors in processes of their own (local-cluster): the bytes of one machine, with and without
# weights; a worker that fails fails the job.
set -u
. tests/engines/lib.bash
. tests/engines/python.bash
command -v java >/dev/null || skip "java is not installed"
engines_begin
python_with pyspark

cat >"$T/job.py" <<'PY'
import sys
sys.path.insert(0, "merge/engines")
import pgo_spark
from pyspark import SparkConf, SparkContext
pgo, fleet, plan, out, plain = sys.argv[1:]
conf = (SparkConf().setMaster("local-cluster[2,1,1024]").setAppName("pgo").set("spark.ui.enabled", "false")
        .set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1").set("spark.executor.memory", "512m"))
paths = list(pgo_spark.files_of([fleet]))
with SparkContext(conf=conf) as sc:
    sc.setLogLevel("ERROR")
    text = pgo_spark.merge(sc, sc.parallelize(paths, 7), pgo, plan, fan_in=3)
    pgo_spark.finish(text, out, pgo)
    text = pgo_spark.merge(sc, sc.parallelize(list(reversed(paths)), 40), pgo, None, fan_in=4)     # more tasks than files
    pgo_spark.finish(text, plain, pgo)
    try:
        pgo_spark.merge(sc, sc.parallelize(paths + ["/nowhere"], 3), pgo, None)
    except Exception as e:
        print("failed as it should:", str(e)[:200].split("\n")[0])
    else:
        sys.exit("a missing input went unnoticed")
PY
"$PGO" plan -q "${WEIGHTS[@]}" "$T/fleet" -o "$T/plan.json"
"$PGO" merge -q "$T/fleet" -o "$T/plain.pb.gz"
export SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=$PYTHON PYSPARK_DRIVER_PYTHON=$PYTHON
expect "three jobs on two executors" timeout 600 "$PYTHON" "$T/job.py" "$PGO" "$T/fleet" "$T/plan.json" "$T/spark.pb.gz" "$T/spark-plain.pb.gz"
grep -h '^failed as' "$T/log"
expect "weighted: the bytes of one machine" cmp "$T/spark.pb.gz" "$T/whole.pb.gz"
expect "not weighted: the bytes of one machine" cmp "$T/spark-plain.pb.gz" "$T/plain.pb.gz"
expect "as a script" env PYSPARK_SUBMIT_ARGS="--master local[2] pyspark-shell" timeout 600 "$PYTHON" merge/engines/pgo_spark.py -o "$T/script.pb.gz" --pgo "$PGO" --plan "$T/plan.json" "$T/fleet"
expect "the same bytes" cmp "$T/script.pb.gz" "$T/whole.pb.gz"
engines_end

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fleet.py BASE DIR N [TEMPLATE]: N profiles below DIR that differ in their time alone.

BASE is a pprof that says no time; each copy gets one (time_nanos, field 9), every ten minutes from 2026-09-20 on.  TEMPLATE names them: {n} number, {date} and {hour} of that time, {host} one of seven.
"""
import gzip
import os
import sys
import time

base = gzip.decompress(open(sys.argv[1], "rb").read())
to, n = sys.argv[2], int(sys.argv[3])
template = sys.argv[4] if len(sys.argv) > 4 else "{n}.pb.gz"
for i in range(n):
    seconds = 1789862400 + 600 * i
    ns, field = seconds * 1000000000, b"\x48"
    while ns >= 128:
        field += bytes([ns & 127 | 128])
        ns >>= 7
    field += bytes([ns])
    when = time.gmtime(seconds)
    path = os.path.join(to, template.format(n="%05d" % i, date=time.strftime("%Y-%m-%d", when), hour="%02d" % when.tm_hour, host="host-%d" % (i % 7)))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(gzip.compress(base + field, 6, mtime=0))

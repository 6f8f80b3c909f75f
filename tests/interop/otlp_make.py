#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP profiles by OpenTelemetry's own classes, in whichever revision of them is installed; and what is in them.

  otlp_make.py write REVISION DIR    files of every form into DIR, and DIR/expected
  otlp_make.py split PPROF FILE      the pprof as OTLP: a profile for each of its sample types
  otlp_make.py read PPROF...         what these pprofs say, in the words of DIR/expected

Each line of expected: program, host, service, version, period, labels, stack (leaf first, FILE+BUILDID+ADDRESS or
names), sample type, sum.  Random, by a fixed seed.
"""
import gzip
import random
import struct
import sys

GNU, HASH, GO = ("process.executable.build_id." + k for k in ("gnu", "htlhash", "go"))


def model():
    """What was recorded: a list of (resource, profiles)."""
    r = random.Random(5)
    images = [
        ("quarry", 0x1000, 0x9000, 0x1000, {GNU: "79c928f7e30dc3fb10c0ff9f0be771a739b5c076", HASH: "11" * 16}),
        ("libc.so.6", 0x26000, 0x17B000, 0x26000, {GNU: "c0ffee" * 6 + "00aa"}),
        ("static", 0x401000, 0x480000, 0x1000, {HASH: "abcdef0123456789abcdef0123456789", GO: "go/id"}),
        ("onlygo", 0x401000, 0x480000, 0x1000, {GO: "qwertz/uiop"}),
        ("plainfile", 0, 0, 0, {}),
    ]
    def frame():
        i = r.randrange(len(images) + 1)
        if i == len(images):
            return (None, 0, [("main.py:%d" % r.randrange(3), "main.py", r.randrange(1, 50))])
        lines = [("f%d" % r.randrange(4), "a.c", r.randrange(1, 99)) for _ in range(r.choice([0, 0, 0, 1, 2]))]
        return (images[i], images[i][1] + r.randrange(0, 400) * 4 + (1 << 63 if r.random() < 0.02 else 0), lines)
    frames = [frame() for _ in range(60)]
    stacks = [tuple(r.randrange(len(frames)) for _ in range(r.randrange(1, 12))) for _ in range(80)]
    out = []
    for i in range(14):
        host, service = "web-%d" % (i % 3), "checkout" if i % 2 else "search"
        resource = {"host.name": host, "service.name": service, "service.version": "1.%d" % (i % 2),
                    "container.id": "c%d" % (i % 5), "process.pid": 1000 + i, "process.executable.name": ["quarry", "static"][i % 2],
                    "service.instance.id": "inst-%d" % i, "telemetry.sdk.name": "x"}
        if i % 7 == 6:
            del resource["process.executable.name"]
            resource["process.executable.path"] = "/usr/bin/py%d" % i
        profiles = []
        kinds = [("samples", "count", "cpu", "nanoseconds", 50000000), ("off_cpu", "nanoseconds", "", "", 0)]
        kinds += [("wall", "nanoseconds", "cpu", "nanoseconds", 50000000)]
        for kind in kinds[: 1 + i % 3]:
            samples = []
            for _ in range(r.randrange(1, 60)):
                attrs = {"thread.id": r.randrange(4), "thread.name": "t%d" % r.randrange(3)}
                if r.random() < 0.3:
                    attrs["tier"] = r.choice(["gold", "iron"])
                if r.random() < 0.1:
                    attrs["shard"] = r.randrange(1, 5)
                shape = i % 3
                times = [r.randrange(10**9) for _ in range(r.randrange(1, 5))] if shape != 1 else []
                values = [r.randrange(1, 1000) for _ in times] if shape == 2 else [r.randrange(0, 9)] if shape == 1 else []
                samples.append((r.randrange(len(stacks)), attrs, values, times))
            profiles.append((kind, samples))
        out.append((resource, profiles))
    return frames, stacks, out


def shown(frame):
    image, addr, lines = frame
    text = ""
    if image:
        ids = image[4]
        text = "%s+%s+%x" % (image[0], ids.get(GNU) or ids.get(HASH) or ids.get(GO) or "", addr)
    return text + "".join("<%s@%s:%d>" % l for l in lines)


def left_out(key):
    return key.startswith(("process.", "thread.", "telemetry.")) or key == "service.instance.id"


NAMES = {"host.name": "host", "service.name": "service", "service.version": "version"}


def expected(frames, stacks, resources):
    sums = {}
    for resource, profiles in resources:
        program = resource.get("process.executable.name") or resource["process.executable.path"].rsplit("/")[-1]
        for (stype, unit, ptype, punit, period), samples in profiles:
            for stack, attrs, values, times in samples:
                labels = {NAMES.get(k, k): str(v) for k, v in {**resource, **attrs}.items() if not left_out(k)}
                key = (program, "%s/%s=%d" % (ptype, punit, period), " ".join("%s=%s" % kv for kv in sorted(labels.items())),
                       " ".join(shown(frames[f]) for f in stacks[stack]), stype + "/" + unit)
                sums[key] = sums.get(key, 0) + (sum(values) if values else len(times))
    return sorted("|".join(k) + "|%d\n" % v for k, v in sums.items() if v)


class Message:
    """One ProfilesData of the revision that is installed."""

    def __init__(self):
        from opentelemetry.proto.profiles.v1development import profiles_pb2 as pb
        self.pb, self.data, self.index = pb, pb.ProfilesData(), {}
        self.d = self.data.dictionary
        self.old = not hasattr(pb, "Stack")
        self.profile_samples = "samples" if "samples" in pb.Profile.DESCRIPTOR.fields_by_name else "sample"
        self.lines = "lines" if "lines" in pb.Location.DESCRIPTOR.fields_by_name else "line"
        for table in ("mapping_table", "location_table", "function_table", "link_table", "attribute_table") + (() if self.old else ("stack_table",)):
            getattr(self.d, table).add()
        self.d.string_table.append("")

    def once(self, what, make):
        if what not in self.index:
            self.index[what] = make()
        return self.index[what]

    def text(self, s):
        def make():
            self.d.string_table.append(s)
            return len(self.d.string_table) - 1
        return 0 if s == "" else self.once(("s", s), make)

    def attribute(self, key, value):
        def make():
            a = self.d.attribute_table.add()
            if self.old:
                a.key = key
            else:
                a.key_strindex = self.text(key)
            if isinstance(value, int):
                a.value.int_value = value
            else:
                a.value.string_value = value
            return len(self.d.attribute_table) - 1
        return self.once(("a", key, value), make)

    def mapping(self, image):
        def make():
            m = self.d.mapping_table.add()
            m.filename_strindex = self.text(image[0])
            m.memory_start, m.memory_limit, m.file_offset = image[1:4]
            m.attribute_indices.extend(self.attribute(k, v) for k, v in image[4].items())
            return len(self.d.mapping_table) - 1
        return self.once(("m", image[0]), make)

    def function(self, name, file):
        def make():
            f = self.d.function_table.add()
            f.name_strindex, f.filename_strindex = self.text(name), self.text(file)
            return len(self.d.function_table) - 1
        return self.once(("f", name, file), make)

    def location(self, frame):
        image, addr, lines = frame
        def make():
            l = self.d.location_table.add()
            l.address = addr
            if image:
                l.mapping_index = self.mapping(image)
            for name, file, n in lines:
                line = getattr(l, self.lines).add()
                line.function_index, line.line = self.function(name, file), n
            return len(self.d.location_table) - 1
        return self.once(("l", image and image[0], addr, tuple(lines)), make)

    def stack(self, frames):
        at = tuple(self.location(f) for f in frames)
        def make():
            self.d.stack_table.add().location_indices.extend(at)
            return len(self.d.stack_table) - 1
        return self.once(("k", at), make)

    def sample(self, p, frames, attrs, values, times):
        s = getattr(p, self.profile_samples).add()
        s.attribute_indices.extend(self.attribute(k, v) for k, v in attrs.items())
        s.timestamps_unix_nano.extend(10**18 + t for t in times)
        if self.old:
            s.value.append(sum(values) if values else len(times))
            at = [self.location(f) for f in frames]
            s.locations_start_index, s.locations_length = len(p.location_indices), len(at)
            p.location_indices.extend(at)
        else:
            s.values.extend(values)
            s.stack_index = self.stack(frames)

    def resource(self, attributes, profiles, frames, stacks):
        rp = self.data.resource_profiles.add()
        for key, value in attributes.items():
            a = rp.resource.attributes.add(key=key)
            if isinstance(value, int):
                a.value.int_value = value
            else:
                a.value.string_value = value
        scope = rp.scope_profiles.add()
        scope.scope.name = "test"
        for (stype, unit, ptype, punit, period), samples in profiles:
            p = scope.profiles.add()
            st = p.sample_type.add() if self.old else p.sample_type
            st.type_strindex, st.unit_strindex = self.text(stype), self.text(unit)
            if ptype:
                p.period_type.type_strindex, p.period_type.unit_strindex = self.text(ptype), self.text(punit)
            p.period = period
            p.profile_id = b"\1" * 16
            if self.old:
                p.time_nanos, p.duration_nanos = 10**18, 10**9
            elif hasattr(p, "time_unix_nano"):
                p.time_unix_nano, p.duration_nano = 10**18, 10**9
            for stack, attrs, values, times in samples:
                self.sample(p, [frames[f] for f in stacks[stack]], attrs, values, times)


def write(to):
    from google.protobuf import json_format
    frames, stacks, resources = model()
    whole, parts = Message(), []
    for i in range(0, len(resources), 3):
        parts.append(Message())
        for resource, profiles in resources[i:i + 3]:
            whole.resource(resource, profiles, frames, stacks)
            parts[-1].resource(resource, profiles, frames, stacks)
    def save(name, data):
        with open(to + "/" + name, "wb") as f:
            f.write(data)
    raw = whole.data.SerializeToString()
    framed = [m.data.SerializeToString() for m in reversed(parts)]
    save("whole.otlp", raw)
    save("whole.otlp.gz", gzip.compress(raw, mtime=0))
    save("framed.otlp", b"".join(struct.pack(">I", len(m)) + m for m in framed))
    save("framed.gz.otlp", b"".join(struct.pack(">I", len(m)) + m for m in (gzip.compress(m) for m in framed)))
    if not whole.old:
        save("whole.json", json_format.MessageToJson(whole.data).encode())
        save("names.json", json_format.MessageToJson(whole.data, preserving_proto_field_name=True).encode())
        save("lines.json", b"".join(json_format.MessageToJson(m.data, indent=None).encode() + b"\n" for m in parts))
    with open(to + "/expected", "w") as f:
        f.writelines(expected(frames, stacks, resources))


def pprof_class():
    """profile.proto's messages by their field numbers, decoded by protobuf."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    f = descriptor_pb2.FileDescriptorProto(name="p.proto", package="p", syntax="proto3")
    def message(name, fields):
        m = f.message_type.add(name=name)
        for i, field in enumerate(fields.split(), 1):
            many, field = field.endswith("*"), field.rstrip("*")
            n, _, kind = field.partition(":")
            m.field.add(name=n, number=i, label=3 if many else 1, type=11 if kind[:1].isupper() else {"": 3, "u": 4, "b": 8, "s": 9}[kind],
                        type_name=".p." + kind if kind[:1].isupper() else None)
    message("ValueType", "type unit")
    message("Label", "key str num unit")
    message("Sample", "loc:u* value* label:Label*")
    message("Mapping", "id:u start:u limit:u offset:u filename build_id fn:b file:b line:b inline:b")
    message("Line", "function:u line column")
    message("Location", "id:u mapping:u address:u line:Line* folded:b")
    message("Function", "id:u name system file start")
    message("Profile", "type:ValueType* sample:Sample* mapping:Mapping* location:Location* function:Function* strings:s* drop keep time "
                       "duration period_type:ValueType period comment* dflt doc")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(f)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Profile"))


def read(paths):
    cls, out = pprof_class(), []
    for path in paths:
        p = cls()
        p.ParseFromString(gzip.open(path).read())
        s = p.strings
        functions = {f.id: f for f in p.function}
        mappings = {m.id: m for m in p.mapping}
        texts = {}
        for l in p.location:
            m = mappings.get(l.mapping)
            t = "%s+%s+%x" % (s[m.filename], s[m.build_id], l.address) if m else ""
            t += "".join("<%s@%s:%d>" % (s[functions[x.function].name], s[functions[x.function].file], x.line) for x in l.line)
            texts[l.id] = t
        # pgo import calls a file HOST-PROGRAM-TIME-DIGEST.pb.gz.
        program = path.rsplit("/")[-1].split("-20010909")[0].split("-", 2)[-1]
        period = "%s/%s=%d" % (s[p.period_type.type], s[p.period_type.unit], p.period)
        for x in p.sample:
            labels = sorted("%s=%s" % (s[l.key], s[l.str] if l.str else l.num) for l in x.label)
            for i, v in enumerate(x.value):
                if v:
                    out.append("|".join([program, period, " ".join(labels), " ".join(texts[l] for l in x.loc),
                                         s[p.type[i].type] + "/" + s[p.type[i].unit]]) + "|%d\n" % v)
    sys.stdout.writelines(sorted(out))


def split(path, to):
    p = pprof_class()()
    p.ParseFromString(gzip.open(path).read())
    s, m = p.strings, Message()
    functions, mappings = {f.id: f for f in p.function}, {x.id: x for x in p.mapping}
    frames, at = [], {}
    for l in p.location:
        x = mappings.get(l.mapping)
        image = (s[x.filename], x.start, x.limit, x.offset, {GNU: s[x.build_id]} if x.build_id else {}) if x else None
        at[l.id] = len(frames)
        frames.append((image, l.address, [(s[functions[i.function].name], s[functions[i.function].file], i.line) for i in l.line]))
    stacks = [[at[l] for l in x.loc] for x in p.sample]
    resource = {"process.executable.name": "app"}
    for l in p.sample[0].label:
        resource[{v: k for k, v in NAMES.items()}.get(s[l.key], s[l.key])] = s[l.str]
    profiles = []
    for i, t in enumerate(p.type):
        kind = (s[t.type], s[t.unit], s[p.period_type.type], s[p.period_type.unit], p.period)
        profiles.append((kind, [(n, {}, [x.value[i]], []) for n, x in enumerate(p.sample) if x.value[i]]))
    m.resource(resource, profiles, frames, stacks)
    with open(to, "wb") as f:
        f.write(m.data.SerializeToString())


if sys.argv[1] == "write":
    write(sys.argv[2])
elif sys.argv[1] == "split":
    split(sys.argv[2], sys.argv[3])
else:
    read(sys.argv[2:])

# SPDX-License-Identifier: Apache-2.0
"""Profiles in a build by Bazel (4 or newer).  Copy this directory into the workspace (cp -r "$(pgo --modules)/bazel"
tools/pgo), then

    # WORKSPACE
    load("//tools/pgo:pgo.bzl", "pgo_profile")
    pgo_profile(name = "pgo_app", profile = "//pgo:release.json", compiler = "gcc")
    # BUILD
    load("@pgo_app//:flags.bzl", "PGO_COPTS", "PGO_LINKOPTS", "PGO_SRCS")
    cc_binary(name = "app", srcs = ["main.c"], copts = PGO_COPTS, linkopts = PGO_LINKOPTS,
              additional_linker_inputs = PGO_SRCS)

`profile` is a file of the workspace: release.json of a directory that `pgo get` fills, or a profile itself; without
it, or where pgo is not installed, the flags are those of recording, or none.  The repository is made anew when one of
the files that it read changes; its profile has a name of its content, so that equal profiles are equal actions, for
remote caches too.  gcc and clang read the profile by its path below the execution root, external/pgo_app/..., which a
sandbox shows to actions that have it among their inputs: cc_binary and cc_library take it by `deps = PGO_DEPS`, a
cc_library of the profile as a header.
"""

def _pgo_profile_impl(ctx):
    pgo = ctx.which("pgo")
    copts, linkopts, files = [], [], []
    if pgo:
        command = [pgo, "flags", "--compiler", ctx.attr.compiler, "--own", "-g", "--format", "json", "--dir", "kept", "--as", "pgo"]
        if ctx.attr.profile:
            path = ctx.path(ctx.attr.profile)
            if path.basename == "release.json":
                # What it names lies beside it, and is an input as well.
                for entry in path.dirname.readdir():
                    ctx.path(Label("@%s//%s:%s" % (ctx.attr.profile.workspace_name, ctx.attr.profile.package, entry.basename)))
                path = path.dirname
            command += ["--stage", "both", "--profile", str(path), "--require", ctx.attr.require]
        else:
            command += ["--stage", "record"]
        if ctx.attr.bolt:
            command.append("--bolt")
        done = ctx.execute(command)
        if done.return_code != 0:
            fail("pgo flags ended with %d: %s" % (done.return_code, done.stderr))
        told = json.decode(done.stdout)
        where = "external/" + ctx.name + "/"
        copts = [flag.replace("=kept/", "=" + where + "kept/") for flag in told["compile"]]
        linkopts = [flag.replace("=kept/", "=" + where + "kept/") for flag in told["link"]]
        if told["profile"]:
            files = [told["profile"]["path"]]
    ctx.file("flags.bzl", "\n".join([
        "PGO_COPTS = " + repr(copts),
        "PGO_LINKOPTS = " + repr(linkopts),
        "PGO_DEPS = [\"@%s//:profile\"]" % ctx.name,
        "PGO_SRCS = " + repr(["@%s//:%s" % (ctx.name, f) for f in files]),
        "",
    ]))
    ctx.file("BUILD", "\n".join([
        "package(default_visibility = [\"//visibility:public\"])",
        "exports_files(" + repr(files) + ")",
        "cc_library(name = \"profile\", textual_hdrs = " + repr(files) + ")",
        "",
    ]))

pgo_profile = repository_rule(
    implementation = _pgo_profile_impl,
    attrs = {
        "profile": attr.label(allow_single_file = True),
        "compiler": attr.string(default = "gcc"),
        "require": attr.string(default = "none", values = ["none", "any", "fresh"]),
        "bolt": attr.bool(default = False),
    },
    environ = ["PATH"],
    # Reading the same files again costs a tenth of a second.
    local = True,
)

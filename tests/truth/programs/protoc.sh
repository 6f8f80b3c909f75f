# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
ABOUT='C++, the compiler of protocol buffers with its library in it: large, templates, virtual calls in every printer and visitor'
FROM='apt protobuf'

# With the generators of two languages: the other nine are more of the same.
recipe_prepare() {
	cat >src/protoc_two.cc <<'END'
#include <google/protobuf/compiler/command_line_interface.h>
#include <google/protobuf/compiler/cpp/generator.h>
#include <google/protobuf/compiler/python/generator.h>

int main(int argc, char* argv[]) {
  google::protobuf::compiler::CommandLineInterface cli;
  google::protobuf::compiler::cpp::CppGenerator cpp;
  google::protobuf::compiler::python::Generator python;
  cli.RegisterGenerator("--cpp_out", &cpp, "");
  cli.RegisterGenerator("--python_out", &python, "");
  return cli.Run(argc, argv);
}
END
}

recipe_build() {
	local f files=(src/protoc_two.cc)
	while read -r f; do
		files+=("$f")
	done < <(find src/google/protobuf -name '*.cc' | grep -vE 'test|mock_|/(util|csharp|java|objectivec|php|ruby|js)/|compiler/main.cc' | sort)
	compile -w -std=c++17 -DNDEBUG -DHAVE_PTHREAD=1 -Isrc -- "${files[@]}" && link -lpthread
}

recipe_inputs() {
	messages 260 5 >train.proto
	messages 110 23 >test.proto
}

# messages N SEED: a file of N messages with fields of all kinds, enumerations, services
messages() {
	awk -v n="$1" -v seed="$2" 'BEGIN {
		srand(seed)
		kinds = split("int32 uint64 sint32 bool string bytes double fixed32", kind)
		print "syntax = \"proto3\";\npackage demo.p" seed ";\noption java_multiple_files = false;"
		for (m = 0; m < n; m++) {
			print "// What message " m " is for.\nmessage Message" m " {"
			print "  enum State { STATE_UNKNOWN = 0; STATE_ON = 1; STATE_OFF = 2; }\n  State state = 1;"
			fields = 3 + int(rand() * 9)
			for (f = 2; f < fields + 2; f++) {
				r = rand()
				if (r < .5) printf "  %s field_%d = %d;\n", kind[1 + int(rand() * kinds)], f, f
				else if (r < .65) printf "  repeated %s list_%d = %d;\n", kind[1 + int(rand() * kinds)], f, f
				else if (r < .75) printf "  map<string, %s> map_%d = %d;\n", kind[1 + int(rand() * kinds)], f, f
				else printf "  Message%d other_%d = %d;  // refers\n", int(rand() * n), f, f
			}
			print "  oneof choice { string text = 100; int64 number = 101; }\n}"
		}
		for (s = 0; s * 20 < n; s++) {
			print "service Service" s " {"
			for (k = 0; k < 5; k++) printf "  rpc Call%d(Message%d) returns (Message%d);\n", k, int(rand() * n), int(rand() * n)
			print "}"
		}
	}'
}

recipe_run() {
	local input=$1 out code
	shift
	out=$(mktemp -d) || return 1
	case $input in
	train) "$@" --cpp_out="$out" --descriptor_set_out="$out/set" train.proto ;;
	test) "$@" --python_out="$out" test.proto ;;
	esac
	code=$?
	(cd "$out" && find . -type f | LC_ALL=C sort | xargs cat | sha256sum)
	rm -rf "$out"
	return $code
}

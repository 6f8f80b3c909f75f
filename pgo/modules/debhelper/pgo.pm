# SPDX-License-Identifier: Apache-2.0
# Profiles in Debian packages: `dh $@ --with pgo` in debian/rules, and Build-Depends: pgo.
#
# The profile is debian/pgo, a directory that `pgo get` fills (or `pgo publish` and `pgo get` from a directory) and
# that belongs to the source package: packages are built without a network.  PGO_PROFILE names another place,
# PGO_REQUIRE is any or fresh where a build shall end without one.  Without it the package is built to be recorded;
# with nopgo in DEB_BUILD_PROFILES or DEB_BUILD_OPTIONS it is built as it was before.
#
# The flags go to CFLAGS, CXXFLAGS and LDFLAGS, which dh has set by then, and to DEB_CFLAGS_APPEND and its like, from
# which dpkg-buildflags has them: every build system that debhelper knows gets them, and rules that ask themselves.
use strict;
use warnings;
use Cwd qw(getcwd);

sub pgo_flags {
	my ($compiler, $where, $side) = @_;
	my $dir = getcwd() . '/debian/.debhelper/pgo';
	my @command = ('pgo', 'flags', '--compiler', $compiler, '--own', '-g -O2', '--dir', $dir, '--format', 'shell', $side);
	if ($where) {
		push @command, '--stage', 'both', '--profile', $where, '--require', $ENV{PGO_REQUIRE} || 'none';
	} else {
		push @command, '--stage', 'record';
	}
	open(my $pipe, '-|', @command) or die "dh: pgo cannot be run: $!\n";
	my $flags = do { local $/; <$pipe> };
	close($pipe) or die "dh: pgo flags ended with " . ($? >> 8) . "\n";
	chomp $flags if defined $flags;
	return $flags;
}

sub pgo_append {
	my ($name, $flags) = @_;
	$ENV{$name} = join(' ', grep { defined && length } $ENV{$name}, $flags);
}

my $off = grep { $_ eq 'nopgo' } split(/[\s,]+/, ($ENV{DEB_BUILD_PROFILES} || '') . ' ' . ($ENV{DEB_BUILD_OPTIONS} || ''));

# dh calls itself in override targets: once is enough.
if (!$off && !$ENV{PGO_DH_DONE}) {
	my $host = `dpkg-architecture -qDEB_HOST_GNU_TYPE`;
	my $build = `dpkg-architecture -qDEB_BUILD_GNU_TYPE`;
	chomp($host, $build);
	my $cc = $ENV{CC} || ($host eq $build ? 'gcc' : "$host-gcc");
	my $where = $ENV{PGO_PROFILE} || (-e 'debian/pgo' ? getcwd() . '/debian/pgo' : '');
	if ($where || !$ENV{PGO_REQUIRE} || $ENV{PGO_REQUIRE} eq 'none') {
		my $compile = pgo_flags($cc, $where, '--compile');
		my $link = pgo_flags($cc, $where, '--link');
		pgo_append("DEB_${_}_APPEND", $compile) for qw(CFLAGS CXXFLAGS);
		pgo_append('DEB_LDFLAGS_APPEND', $link);
		pgo_append($_, $compile) for grep { exists $ENV{$_} } qw(CFLAGS CXXFLAGS);
		pgo_append('LDFLAGS', $link) if exists $ENV{LDFLAGS};
	} else {
		die "dh: there is no profile debian/pgo, and PGO_REQUIRE is $ENV{PGO_REQUIRE}\n";
	}
	$ENV{PGO_DH_DONE} = 1;
}

1;

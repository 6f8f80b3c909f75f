module servers.test/pyroscope

go 1.25.7

require (
	github.com/grafana/pyroscope v1.21.1
	github.com/grafana/pyroscope/api v1.4.0
	github.com/grafana/pyroscope/lidia v0.0.2
)

replace (
	github.com/hashicorp/memberlist => github.com/grafana/memberlist v0.3.1-0.20251126142931-6f9f62ab6f86
	gopkg.in/yaml.v3 => github.com/colega/go-yaml-yaml v0.0.0-20220720105220-255a8d16d094
)

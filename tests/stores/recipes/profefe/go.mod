module servers.test/profefe

go 1.25.0

require github.com/profefe/profefe v0.0.0-20230214190600-92baf9f0d434

// Package integration holds the tests that need real programs. `go test ./...` leaves them out; `make test` runs them:
//
//   - the SDK's clients against moto (SQS, Secrets Manager, CloudFormation by licensectl);
//   - both functions, built as they are deployed, under the Lambda Runtime Interface Emulator with moto and a fake
//     License API behind them: from an HTTP event to a deactivated license;
//   - LicenseSpring's own Python and Node SDKs against licensectl fake-api, and their request files;
//   - template.yaml: sam validate --lint, sam build, and checks of the transformed template beyond those of lint.
//
// The tests need the build tag "integration", .venv and .node, which `make venv node` makes. A missing program fails a
// test; no test is skipped.
//
// Two kinds of tests need no program and run with `go test ./...`: the alarms of template.yaml, evaluated over what both
// handlers write in virtual time (alarms_test.go), and the documents, compared with the template, the metrics and the
// commands that exist (documents_test.go).
package integration

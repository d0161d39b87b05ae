// Package integration holds the tests that need real parts, which `go test ./...` leaves to `make test`:
//
//   - the SDK's clients against moto (SQS, Secrets Manager);
//   - both functions, built as they are deployed, under the Lambda Runtime Interface Emulator with moto and a fake
//     License API behind them: from an HTTP event to a deactivated license;
//   - template.yaml: sam validate --lint, sam build, and what lint does not see, over the transformed template.
//
// They stand behind the build tag "integration" and need .venv, which `make venv` makes. A part that is missing
// fails a test; nothing is skipped.
//
// Two kinds of tests need nothing and run with `go test ./...`: the alarms of template.yaml, played on what both handlers
// write in virtual time (alarms_test.go), and the documents, held to the template, the metrics and the commands that exist
// (documents_test.go).
package integration

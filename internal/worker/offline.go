package worker

import (
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

// readFile returns what a request file names, for the log, for the group of its license and for nothing else: the call
// posts the file. The result is the one of a message whose file cannot be read; nil where it can.
func readFile(text string) (deactivation.License, *result) {
	file, err := signing.ReadRequestFile(text)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), signing.ErrRequestFile.Error()+": ")
		return deactivation.License{}, &result{
			outcome: deactivation.Rejected, reason: deactivation.ReasonRejected, code: deactivation.CodeInvalidField,
			detail: deactivation.CleanText("request_file: " + why),
		}
	}
	return deactivation.License{Product: file.Product, LicenseKey: file.LicenseKey, Username: file.Username, HardwareID: file.HardwareID}, nil
}

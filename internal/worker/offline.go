package worker

import (
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

// readFile returns what a request file names. Only the log and the group of its license use it: the call posts the
// file. The result is that of a message whose file cannot be read; else nil.
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

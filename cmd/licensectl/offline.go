package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/signing"
)

func newOffline() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "offline",
		Short: "Make, read and submit request files of offline deactivations",
		Long: `An application on a computer without a network releases its license with a request file (.req), which its user sends to
you. submit frees the license's slot with that file. inspect shows what a file requests and whether your keys signed it;
it also reads the files of LicenseSpring's own SDKs. make writes a file for a license that you know.

A file that you make yourself only frees the slot: the application runs until its license file expires.`,
		Example: `  licensectl offline inspect deactivate_offline.req --secrets secrets.json
  licensectl offline submit deactivate_offline.req --stack license-deactivator
  licensectl offline make --product XY --license-key AAAA-BBBB-CCCC-DDDD --hardware-id hw1 --secrets secrets.json > hw1.req`,
	}
	return group(cmd, newOfflineMake(), newOfflineInspect(), newOfflineSubmit())
}

// requestFile is one FILE of the command line.
type requestFile struct {
	name string
	*signing.RequestFile
	err error // why it cannot be used; nil: RequestFile is valid
}

// readRequestFiles reads the files, "-" from stdin. A file that appears twice, under any name, is an error at its
// second occurrence: it would be counted twice.
func readRequestFiles(stdin io.Reader, names []string) []requestFile {
	var files []requestFile
	for _, name := range names {
		f := requestFile{name: name}
		f.RequestFile, f.err = readRequestFile(stdin, name)
		if f.err == nil {
			same := func(other requestFile) bool { return other.err == nil && other.Text == f.Text }
			if i := slices.IndexFunc(files, same); i >= 0 {
				f.err = fmt.Errorf("the same request as %s", files[i].name)
			}
		}
		files = append(files, f)
	}
	return files
}

func readRequestFile(stdin io.Reader, name string) (*signing.RequestFile, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			if path, ok := errors.AsType[*os.PathError](err); ok {
				err = path.Err // the caller prefixes the name
			}
			return nil, err
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, signing.MaxRequestFileBytes+1))
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	file, err := signing.ReadRequestFile(string(text))
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), signing.ErrRequestFile.Error()+": "))
	}
	return file, nil
}

// notes returns what a person should know about a file before it is submitted.
func (f requestFile) notes() []string {
	var notes []string
	if f.Request != signing.OfflineDeactivation {
		notes = append(notes, fmt.Sprintf("its request is %q, not %q: is it the right file?", f.Request, signing.OfflineDeactivation))
	}
	for _, field := range []struct{ name, value string }{
		{"product", f.Product}, {"hardware_id", f.HardwareID}, {"license_key or username", f.LicenseKey + f.Username},
		{"api_key or client_id", f.APIKey + f.ClientID}, {"date", f.Date},
	} {
		if field.value == "" {
			notes = append(notes, "it has no "+field.name)
		}
	}
	if f.LicenseKey != "" && f.Username != "" {
		notes = append(notes, "it names a license key and a user; the API decides which")
	}
	return notes
}

// licenseKeys reads the License API's keys from a --secrets file.
func licenseKeys(path string) (secrets.License, error) {
	stored, err := local.ReadSecrets(path)
	if err != nil {
		return secrets.License{}, failed(err, "")
	}
	keys, err := secrets.ParseLicense(string(stored.LicenseAPI))
	if err != nil {
		return secrets.License{}, failed(fmt.Errorf("%s: %w", filepath.Base(path), err), "")
	}
	return keys, nil
}

// offlineSigner returns a signer with either pair of keys.
func offlineSigner(keys secrets.License) (*signing.OfflineSigner, error) {
	signer, err := signing.NewOfflineSigner(keys.APIKey, keys.SharedKey)
	if keys.OAuth() {
		signer, err = signing.NewOfflineClientSigner(keys.ClientID, keys.ClientSecret)
	}
	if err != nil {
		return nil, failed(err, "")
	}
	return signer, nil
}

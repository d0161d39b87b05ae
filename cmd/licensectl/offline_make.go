package main

import (
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/signing"
)

// maxMadeFiles bounds the rows of a CSV, and so the files in one folder.
const maxMadeFiles = 10_000

type makeOptions struct {
	license     signing.OfflineRequest
	licenseID   string
	csv, out    string
	secretsFile string
	schema      int
	encoding    string
}

func newOfflineMake() *cobra.Command {
	var o makeOptions
	cmd := &cobra.Command{
		Use:   "make",
		Short: "Write request files for licenses that you know",
		Long: `make writes a request file (.req) for one license on one device: to stdout, or to the file of --out. With --csv it writes
one file for each row into the folder of --out: row-0001.req and so on. The first line of the CSV names the columns:
product, license_key or username, and hardware_id; optional are license_id, bundle_code and the documented fields of a
device (app_ver, hostname, ip, ip_local, is_vm, mac_address, os_hostname, os_ver, sdk_lang, sdk_ver, vm_info). When one row
is wrong, no file is written. An existing file is never replaced.

The License API accepts schema 1 unless the vendor has set "Minimum Offline Request Schema Version" to 2. The documentation
writes the signature of schema 2 in hexadecimal; LicenseSpring's SDKs write Base64. If the API answers signature_mismatch to
one encoding, use the other.

The keys are those of --secrets. Without it they are the public ones of licensectl local and fake-api.`,
		Example: `  licensectl offline make --product XY --license-key AAAA-BBBB-CCCC-DDDD --hardware-id hw1 --secrets secrets.json > hw1.req
  licensectl offline make --csv licenses.csv --out requests --schema 2 --secrets secrets.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.license.Product, "product", "", "the product's short code, or the bundle's")
	flags.StringVar(&o.license.LicenseKey, "license-key", "", "the license's key")
	flags.StringVar(&o.license.Username, "username", "", "the license's user, in place of a key")
	flags.StringVar(&o.license.HardwareID, "hardware-id", "", "the device's hardware id")
	flags.StringVar(&o.licenseID, "license-id", "", "one of a user's several licenses of the product")
	flags.StringVar(&o.license.BundleCode, "bundle-code", "", "the bundle that holds the product")
	flags.StringVar(&o.csv, "csv", "", `file with a row for each license; "-" is stdin`)
	flags.StringVar(&o.out, "out", "", "file to write; with --csv the folder")
	flags.IntVar(&o.schema, "schema", 1, "schema of the file: 1 or 2")
	flags.StringVar(&o.encoding, "encoding", "hex", "how the signature of schema 2 is written: hex or base64")
	flags.StringVar(&o.secretsFile, "secrets", "", `file with {"license_api":{…},"webhooks":{…}} to sign with`)
	return cmd
}

func (o *makeOptions) run(cmd *cobra.Command) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	keys := secrets.License{APIKey: local.APIKey, SharedKey: local.SharedKey}
	if o.secretsFile == "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "Signed with the public test keys. For your own keys give --secrets.")
	} else {
		var err error
		if keys, err = licenseKeys(o.secretsFile); err != nil {
			return err
		}
	}
	signer, err := offlineSigner(keys)
	if err != nil {
		return err
	}
	if o.csv != "" {
		return o.makeMany(cmd, signer)
	}
	o.license.LicenseID = json.Number(o.licenseID)
	text, err := o.file(signer, o.license)
	if err != nil {
		return misused("give --product, --hardware-id, and --license-key or --username", "%s", offlineProblem(err))
	}
	if o.out == "" {
		fmt.Fprintln(cmd.OutOrStdout(), text)
		return nil
	}
	return writeNew(o.out, text)
}

func (o *makeOptions) check(cmd *cobra.Command) error {
	switch {
	case o.schema != 1 && o.schema != 2:
		return misused("schemas 1 and 2 are known", "--schema %d", o.schema)
	case o.encoding != "hex" && o.encoding != "base64":
		return misused("hex is the documented form, base64 that of LicenseSpring's SDKs", "--encoding %q", o.encoding)
	case cmd.Flags().Changed("encoding") && o.schema != 2:
		return misused("add --schema 2, or leave --encoding out", "--encoding is only for schema 2")
	case o.csv != "" && o.out == "":
		return misused("name the folder for the request files with --out", "--csv needs --out")
	}
	if o.csv == "" {
		return nil
	}
	for _, name := range []string{"product", "license-key", "username", "hardware-id", "license-id", "bundle-code"} {
		if cmd.Flags().Changed(name) {
			return misused("put it into a column", "--%s does not go with --csv", name)
		}
	}
	return nil
}

// file makes one file with the present date.
func (o *makeOptions) file(signer *signing.OfflineSigner, r signing.OfflineRequest) (string, error) {
	r.Date, r.RequestID = signing.Date(time.Now()), newUUID()
	if o.schema == 1 {
		return signer.FileV1(r)
	}
	encoding := signing.OfflineHex
	if o.encoding == "base64" {
		encoding = signing.OfflineBase64
	}
	return signer.FileV2(r, encoding)
}

// makeMany writes a file for each row, or none.
func (o *makeOptions) makeMany(cmd *cobra.Command, signer *signing.OfflineSigner) error {
	rows, err := o.rows(cmd.InOrStdin())
	if err != nil {
		return err
	}
	texts := make([]string, len(rows))
	wrong := 0
	for i, row := range rows {
		if texts[i], err = o.file(signer, row.request); err != nil || row.err != nil {
			wrong++
			fmt.Fprintf(cmd.ErrOrStderr(), "%s:%d: %s\n", o.csv, row.line, offlineProblem(errors.Join(row.err, err)))
		}
	}
	if wrong > 0 {
		return failed(fmt.Errorf("%d of %s cannot be written: no file was written", wrong, count(len(rows), "row")), "correct the lines above")
	}
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		return failed(err, "")
	}
	name := func(i int) string { return filepath.Join(o.out, fmt.Sprintf("row-%04d.req", i+1)) }
	for i := range texts {
		if _, err := os.Lstat(name(i)); err == nil {
			return failed(fmt.Errorf("%s already exists: no file was written", name(i)), "name an empty folder with --out")
		}
	}
	for i, text := range texts {
		if err := writeNew(name(i), text); err != nil {
			return err
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s in %s\n", count(len(texts), "request file"), o.out)
	return nil
}

// writeNew writes a file that does not exist yet. A request file belongs to a customer, so no other user may read it.
func writeNew(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return failed(fmt.Errorf("%s exists already: no file was written", name), "move it away, or give another name")
	}
	if err != nil {
		return failed(err, "")
	}
	_, err = io.WriteString(f, text+"\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return failed(err, "")
	}
	return nil
}

// offlineProblem is the first line of an error about a request, without the package's name.
func offlineProblem(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(first, "signing: offline request: ")
}

// madeRow is one row of the CSV.
type madeRow struct {
	line    int
	request signing.OfflineRequest
	err     error
}

func (o *makeOptions) rows(stdin io.Reader) ([]madeRow, error) {
	in := stdin
	if o.csv != "-" {
		f, err := os.Open(o.csv)
		if err != nil {
			return nil, failed(err, "")
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	rows, err := readMadeRows(in)
	if err != nil {
		return nil, failed(fmt.Errorf("%s: %w", o.csv, err), "the first line names the columns: product,license_key,hardware_id")
	}
	return rows, nil
}

// readMadeRows reads the CSV. A column that a request does not have is an error: a mistyped license_id would widen what
// is deactivated.
func readMadeRows(in io.Reader) ([]madeRow, error) {
	lines := csv.NewReader(in)
	header, err := lines.Read()
	if err != nil {
		return nil, errors.New("it has no line with the columns' names")
	}
	header[0] = strings.TrimPrefix(header[0], "\uFEFF") // as spreadsheets write it
	for i, name := range header {
		header[i] = strings.TrimSpace(name)
		if setField(&signing.OfflineRequest{}, header[i], "") != nil {
			return nil, fmt.Errorf("column %d is not a field of a request: %q", i+1, header[i])
		}
		if slices.Contains(header[:i], header[i]) {
			return nil, fmt.Errorf("column %d occurs twice: %q", i+1, header[i])
		}
	}
	var rows []madeRow
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
				return nil, fmt.Errorf("line %d: %w", wrong.Line, wrong.Err)
			}
			return nil, err
		}
		if len(rows) == maxMadeFiles {
			return nil, fmt.Errorf("it has more than %d rows", maxMadeFiles)
		}
		row := madeRow{}
		row.line, _ = lines.FieldPos(0)
		for i, value := range fields {
			row.err = errors.Join(row.err, setField(&row.request, header[i], strings.TrimSpace(value)))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("it has no rows")
	}
	return rows, nil
}

// setField sets the field of that name. It returns an error only for an unknown name, and for a value of is_vm that is
// neither true nor false.
func setField(r *signing.OfflineRequest, name, value string) error {
	texts := map[string]*string{
		"product": &r.Product, "license_key": &r.LicenseKey, "username": &r.Username, "hardware_id": &r.HardwareID,
		"bundle_code": &r.BundleCode, "app_ver": &r.AppVer, "hostname": &r.Hostname, "ip": &r.IP, "ip_local": &r.IPLocal,
		"mac_address": &r.MACAddress, "os_hostname": &r.OSHostname, "os_ver": &r.OSVer, "sdk_lang": &r.SDKLang, "sdk_ver": &r.SDKVer,
		"vm_info": &r.VMInfo,
	}
	if text, ok := texts[name]; ok {
		*text = value
		return nil
	}
	switch name {
	case "license_id":
		r.LicenseID = json.Number(value)
		return nil
	case "is_vm":
		yes := value == "true"
		if !yes && value != "false" && value != "" {
			return errors.New("is_vm: must be true or false")
		}
		if value != "" {
			r.IsVM = &yes
		}
		return nil
	}
	return fmt.Errorf("%q is not a field of a request", name)
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

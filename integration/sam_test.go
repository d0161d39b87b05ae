//go:build integration

package integration

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestSAMFindsNothing fails at any finding, also an informational one (.cfnlintrc). It needs no account and no network.
func TestSAMFindsNothing(t *testing.T) {
	t.Parallel()
	for _, environment := range []string{"default", "prod"} {
		out, err := command(t.Context(), t, tool(t, "sam"), "validate", "--lint", "--config-env", environment).CombinedOutput()
		if err != nil {
			t.Errorf("sam validate --lint --config-env %s: %v\n%s", environment, err, out)
		}
	}
}

// TestSAMBuildsBothFunctions requires one file each, static and for arm64, so that it does not depend on Lambda's C
// library.
func TestSAMBuildsBothFunctions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := command(t.Context(), t, tool(t, "sam"), "build", "--build-dir", dir, "--cache-dir", t.TempDir()).CombinedOutput()
	if err != nil {
		t.Fatalf("sam build: %v\n%s", err, out)
	}
	for _, function := range []string{"WebhookFunction", "WorkerFunction"} {
		artifact := filepath.Join(dir, function)
		entries, err := os.ReadDir(artifact)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(entries) != 1 || entries[0].Name() != "bootstrap" {
			t.Errorf("%s holds %v, want bootstrap alone", function, entries)
			continue
		}
		checkStaticARM64(t, filepath.Join(artifact, "bootstrap"))
		checkZipped(t, filepath.Join(artifact, "bootstrap"))
	}
}

// maxZipped bounds a function's zip, in bytes: Lambda fetches and unpacks it at a cold start.
const maxZipped = 3_500_000

func checkZipped(t *testing.T, name string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
		return
	}
	if size := len(zipped(t, content)); size > maxZipped {
		t.Errorf("%s has %d bytes in a zip, want at most %d", name, size, maxZipped)
	}
}

// zipped returns a zip of a bootstrap, as small as deflate makes it.
func zipped(tb testing.TB, content []byte) []byte {
	tb.Helper()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	file, err := archive.Create("bootstrap")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := file.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	return packed.Bytes()
}

func checkStaticARM64(t *testing.T, name string) {
	t.Helper()
	file, err := elf.Open(name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer file.Close() //nolint:errcheck // it was only read
	if file.Machine != elf.EM_AARCH64 {
		t.Errorf("%s is for %s, want arm64", name, file.Machine)
	}
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Errorf("%s needs a dynamic linker, want it static", name)
		}
	}
}

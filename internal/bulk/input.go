package bulk

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// peekBytes is how much of a file decides about its format: a header is shorter.
const peekBytes = 64 << 10

// input is an open file: decompressed, in UTF-8, without a byte order mark.
type input struct {
	*bufio.Reader
	file *os.File
	read *countingReader // of the file's own bytes
	size int64
}

// openInput opens a file that is plain or gzip, in UTF-8 or, with a byte order mark, in UTF-16.
func openInput(path string) (*input, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, withoutPath(err))
	}
	in := &input{file: file, read: &countingReader{from: file}}
	info, err := file.Stat()
	switch {
	case err == nil && info.IsDir():
		err = errors.New("it is a folder")
	case err == nil && !info.Mode().IsRegular():
		err = errors.New(`it is not a regular file; give "-" and pipe it`)
	}
	if err != nil {
		in.close()
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	in.size = info.Size()

	bytes := bufio.NewReader(in.read)
	content := io.Reader(bytes)
	if magic, _ := bytes.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		content, err = gzip.NewReader(bytes)
		if err != nil {
			in.close()
			return nil, fmt.Errorf("%w: gzip: %w", ErrFile, err)
		}
	}
	decoder := unicode.BOMOverride(unicode.UTF8.NewDecoder())
	in.Reader = bufio.NewReaderSize(transform.NewReader(content, decoder), peekBytes)
	return in, nil
}

func (in *input) close() { _ = in.file.Close() } // it was only read

// withoutPath is an error of a file without its path, which the caller adds.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

type countingReader struct {
	from io.Reader
	n    int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// hashFile returns the SHA-256 of a file as it is, in hexadecimal digits.
func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrFile, withoutPath(err))
	}
	defer file.Close() //nolint:errcheck // it was only read
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFile, withoutPath(err))
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

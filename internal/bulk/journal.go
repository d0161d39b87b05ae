package bulk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"license-deactivator/internal/deactivation"
)

// A journal is a text file with a line for each entry: the CRC-32C of the entry in eight hexadecimal digits, a blank, and
// the entry as a JSON object with one key.
//
//	header    what the run stands for
//	plan      one batch of the plan, in order
//	summary   what the preview counted; it ends the plan
//	audit     begin and end of an act: who, why, how many
//	sent      one batch that the target has accepted, in order
//
// Preview writes the file up to the summary under another name and renames it, so that a plan is never cut off. Act
// appends a line and syncs it, so that only the last line can be torn; it is then ignored and overwritten.
const journalVersion = 1

// maxLineBytes bounds one line: a batch of 1,000 rows that are all rejected has some 300 kB.
const maxLineBytes = 4 << 20

type entry struct {
	Header  *Header             `json:"header,omitempty"`
	Plan    *planned            `json:"plan,omitempty"`
	Summary *Summary            `json:"summary,omitempty"`
	Audit   *deactivation.Audit `json:"audit,omitempty"`
	Sent    *sent               `json:"sent,omitempty"`
}

// sent is a batch that the target has accepted.
type sent struct {
	Batch         int                          `json:"batch"`
	Accepted      int                          `json:"accepted"`
	Rejected      []RejectedRow                `json:"rejected,omitempty"`
	RejectedBytes int64                        `json:"rejected_bytes,omitempty"`
	Outcomes      map[deactivation.Outcome]int `json:"outcomes,omitempty"`
	At            time.Time                    `json:"at"`
}

// state is a journal that was read.
type state struct {
	plan     *Plan // nil without a whole plan
	header   *Header
	begun    bool // an act has begun
	sent     int  // batches
	rows     int  // of these batches
	accepted int
	rejected int

	rejectedBytes int64
	outcomes      map[deactivation.Outcome]int
	size          int64 // of the lines that are whole
}

func appendEntry(to []byte, e entry) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("bulk: %w", err)
	}
	to = append(append(to, checksum(text)...), ' ')
	return append(append(to, text...), '\n'), nil
}

func checksum(text []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
}

// readEntry reads one line without its line break.
func readEntry(line []byte) (entry, error) {
	var e entry
	crc, text, found := bytes.Cut(line, []byte(" "))
	if !found || string(crc) != checksum(text) {
		return e, errors.New("its CRC is not right")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields() // a line of a later version
	if err := dec.Decode(&e); err != nil {
		return e, errors.New("it is not an entry of this version")
	}
	return e, nil
}

// How long a lock is waited for: another process may be at its last step.
const (
	lockPatience = time.Second
	lockAgain    = 50 * time.Millisecond
)

// lockJournal locks the journal, which it creates if there is none. ErrBusy: another process has it. A preview replaces the
// file, so a lock counts only if the path still leads to the file that was locked.
func lockJournal(path string) (*flock.Flock, error) {
	for end := time.Now().Add(lockPatience); ; time.Sleep(lockAgain) {
		lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
		locked, err := lock.TryLock()
		var held, now os.FileInfo
		if locked {
			held, err = lock.Stat()
		}
		if locked && err == nil {
			now, err = os.Stat(path)
		}
		if locked && err == nil && os.SameFile(held, now) {
			return lock, nil
		}
		_ = lock.Unlock()
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist): // removed by its owner, whose preview failed
			return nil, fmt.Errorf("bulk: the journal cannot be locked: %w", err)
		case time.Now().Before(end):
			continue
		case err != nil:
			return nil, fmt.Errorf("bulk: the journal cannot be locked: %w", err)
		}
		return nil, ErrBusy
	}
}

// writeJournal writes a plan.
func writeJournal(path string, p *Plan) error {
	temporary := path + ".tmp"
	err := writePlan(temporary, p)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		err = syncFolder(path)
	}
	if err != nil {
		return fmt.Errorf("bulk: the journal cannot be written: %w", err)
	}
	return nil
}

func writePlan(path string, p *Plan) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // Sync reports what was not written
	out := bufio.NewWriter(file)
	var line []byte
	add := func(e entry) {
		if err == nil {
			if line, err = appendEntry(line[:0], e); err == nil {
				_, err = out.Write(line)
			}
		}
	}
	add(entry{Header: &p.Header})
	for i := range p.batches {
		add(entry{Plan: &p.batches[i]})
	}
	add(entry{Summary: &p.Summary})
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	return err
}

// syncFolder makes a rename durable. Some systems cannot sync a folder; they make it durable by themselves.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = folder.Sync()
	return folder.Close()
}

// readJournal reads a journal; a missing or empty file is an empty state. A torn last line is left out.
func readJournal(path string) (*state, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bulk: the journal cannot be read: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	return readState(file)
}

func readState(from io.Reader) (*state, error) {
	s := &state{outcomes: map[deactivation.Outcome]int{}}
	in := bufio.NewReaderSize(from, peekBytes)
	var batches []planned
	for number := 1; ; number++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return s, nil // line is what a kill has left of the last one
		}
		if err != nil {
			return nil, err
		}
		e, problem := readEntry(line[:len(line)-1])
		if problem == nil {
			problem = s.apply(e, &batches)
		} else if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return s, nil // the last line, torn inside
		}
		if problem != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrJournal, number, problem)
		}
		s.size += int64(len(line))
	}
}

// readLine reads a line with its line break; io.EOF for a last one without.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLineBytes:
			return nil, fmt.Errorf("%w: a line is longer than %d bytes", ErrJournal, maxLineBytes)
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("bulk: the journal cannot be read: %w", err)
		}
	}
}

// apply adds an entry to the state.
func (s *state) apply(e entry, batches *[]planned) error {
	switch {
	case e.Header != nil:
		if s.header != nil || e.Header.V != journalVersion {
			return errors.New("it is a second header, or one of another version")
		}
		s.header = e.Header
	case s.header == nil:
		return errors.New("there is no header before it")
	case e.Plan != nil:
		if s.plan != nil || e.Plan.Batch != len(*batches)+1 || !e.Plan.isSound() {
			return errors.New("it is not the next batch of the plan")
		}
		*batches = append(*batches, *e.Plan)
	case e.Summary != nil:
		if s.plan != nil {
			return errors.New("it is a second summary")
		}
		s.plan = &Plan{Header: *s.header, Summary: *e.Summary, batches: *batches}
		s.rejectedBytes = e.Summary.RejectedBytes
	case s.plan == nil:
		return errors.New("there is no whole plan before it")
	case e.Audit != nil:
		s.begun = true
	case e.Sent != nil:
		if e.Sent.Batch != s.sent+1 || e.Sent.Batch > len(s.plan.batches) {
			return errors.New("it is not the next batch")
		}
		s.addSent(*e.Sent)
	default:
		return errors.New("it is empty")
	}
	return nil
}

// isSound reports whether the ranges ascend and hold the rows.
func (p planned) isSound() bool {
	rows, last := 0, uint32(0)
	for _, r := range p.Take {
		if r[0] <= last || r[1] < r[0] {
			return false
		}
		rows, last = rows+int(r[1]-r[0])+1, r[1]
	}
	return rows == p.Rows && rows > 0
}

func (s *state) addSent(b sent) {
	s.begun = true
	s.sent++
	s.rows += s.plan.batches[s.sent-1].Rows
	s.accepted += b.Accepted
	s.rejected += len(b.Rejected)
	s.rejectedBytes = max(s.rejectedBytes, b.RejectedBytes)
	for outcome, n := range b.Outcomes {
		s.outcomes[outcome] += n
	}
}

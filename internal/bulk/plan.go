package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
)

// Plan is the frozen selection: what the preview found, and what an act sends.
type Plan struct {
	Header  Header
	Summary Summary
	batches []planned
}

// Header is what the run stands for.
type Header struct {
	V       int       `json:"v"`
	Run     string    `json:"run"`
	File    string    `json:"file"`
	SHA256  string    `json:"sha256"` // of the file as it is
	Map     []string  `json:"map,omitempty"`
	Set     []string  `json:"set,omitempty"` // names of the fields; a value may be a license key
	Columns string    `json:"columns"`       // SHA-256 of Map and Set with the values
	Target  string    `json:"target"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
}

// Summary is what the preview counted.
type Summary struct {
	Rows       int `json:"rows"`
	Valid      int `json:"valid"` // distinct: what an act sends
	Duplicates int `json:"duplicates"`
	Rejected   int `json:"rejected"`

	Licenses      Number    `json:"licenses"`
	Devices       Number    `json:"devices"`
	Products      []Product `json:"products,omitempty"` // those with most rows
	OtherProducts int       `json:"other_products,omitempty"`
	EveryDevice   int       `json:"every_device,omitempty"` // rows that name no device
	OrderOnly     int       `json:"order_only,omitempty"`   // rows that name no license

	Columns []Column `json:"columns,omitempty"`
	Ignored []string `json:"ignored,omitempty"`

	RejectedBytes int64 `json:"rejected_bytes,omitempty"` // size of the file of rejected rows

	// First are the first valid rows, FirstRejected the first rejected ones. They are not in the journal.
	First         []Sample      `json:"-"`
	FirstRejected []RejectedRow `json:"-"`
}

// Number is a count that may be an estimate.
type Number struct {
	N     int  `json:"n"`
	About bool `json:"about,omitempty"`
}

// Product is a product with its rows.
type Product struct {
	Product string `json:"product"`
	Rows    int    `json:"rows"`
}

// Sample shows a row without its secrets.
type Sample struct {
	Line    int    `json:"line"`
	Product string `json:"product,omitempty"`
	License string `json:"license,omitempty"`
	Device  string `json:"device,omitempty"`
	Order   string `json:"order,omitempty"`
	Cause   string `json:"cause"`
}

// RejectedRow is a rejected row without its values.
type RejectedRow struct {
	Line    int    `json:"line"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// planned is one batch of the plan: the rows by their place in the file, from 1, as ranges of first and last.
type planned struct {
	Batch  int         `json:"batch"`
	Take   [][2]uint32 `json:"take"`
	Rows   int         `json:"rows"`
	SHA256 string      `json:"sha256"`
}

// Limits of what is shown and kept of a file.
const (
	shownRows     = 5
	shownRejected = 10
	shownProducts = 5
	shownIgnored  = 30
	maxProducts   = 10_000 // products that are counted one by one
)

// runLength is how much of the SHA-256 names the run: 128 bits, in hexadecimal digits, as in an id from the content.
const runLength = 32

// header returns the run of the file as it is now.
func (j Job) header(actor string, now time.Time) (Header, error) {
	sum, err := hashFile(j.Path)
	if err != nil {
		return Header{}, err
	}
	h := Header{V: journalVersion, File: j.Name, SHA256: sum, Target: j.TargetName, Actor: actor, At: now.UTC().Truncate(time.Second)}
	for _, column := range slices.Sorted(maps.Keys(j.Columns.Map)) {
		h.Map = append(h.Map, column+"="+j.Columns.Map[column])
	}
	h.Set = slices.Sorted(maps.Keys(j.Columns.Set))
	columns, err := json.Marshal([]any{j.Columns.Map, j.Columns.Set}) // maps are written in the order of their keys
	if err != nil {
		return Header{}, err
	}
	h.Columns = hexSum(columns)
	run, err := json.Marshal([]string{h.SHA256, h.Columns, h.Target})
	if err != nil {
		return Header{}, err
	}
	h.Run = hexSum(run)[:runLength]
	return h, nil
}

func hexSum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// preview reads the file, asks the target about each row by a dry run, and writes the plan into the journal and the
// rejected rows beside it. It replaces an earlier plan of which nothing was sent; see Open.
func (j Job) preview(ctx context.Context, header Header) (*Plan, error) {
	in, err := openInput(j.Path)
	if err != nil {
		return nil, err
	}
	defer in.close()
	rows, err := newRecordReader(in)
	if err != nil {
		return nil, err
	}
	m, err := newMapping(j.Columns, rows.columns())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &planner{job: j, ctx: ctx, plan: Plan{Header: header}, mapping: m, products: map[string]int{}, rejected: newRejectedFile(j.Rejected, rows)}
	defer p.rejected.close()
	defer func() { cancel(); p.asking.wait() }()
	if err := p.rejected.create(rows); err != nil {
		return nil, err
	}
	for {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := p.add(r); err != nil {
			return nil, err
		}
		if p.plan.Summary.Rows%MaxBatchRows == 0 {
			j.progress(Progress{PhasePreview, in.read.n, in.size, int64(p.plan.Summary.Rows)})
		}
	}
	if err := p.ask(); err != nil {
		return nil, err
	}
	if err := p.settle(); err != nil {
		return nil, err
	}
	p.endBatch()
	j.progress(Progress{PhasePreview, in.size, in.size, int64(p.plan.Summary.Rows)})
	if err := p.finish(); err != nil {
		return nil, err
	}
	if sum, err := hashFile(j.Path); err != nil || sum != header.SHA256 {
		return nil, errors.Join(err, fmt.Errorf("%w: the file was written to while it was read", ErrChanged))
	}
	return &p.plan, writeJournal(j.Journal, &p.plan)
}

// planner makes a plan, row by row. While the target answers about some rows it reads the next.
type planner struct {
	job      Job
	ctx      context.Context //nolint:containedctx // of one preview
	plan     Plan
	mapping  *mapping
	rejected *rejectedFile

	seen              seen
	licenses, devices distinct
	products          map[string]int

	reading chunk     // rows that the target has not been asked about
	asking  *question // those before, about which it is asked; nil for none
	spare   []chunkRow

	batch      planned
	batchBytes int
	hash       hash.Hash
}

// add takes one row.
func (p *planner) add(r record) error {
	s := &p.plan.Summary
	s.Rows++
	row, why := p.mapping.row(r)
	if why != nil {
		return p.queue(chunkRow{record: r, why: why})
	}
	readRow := deactivation.ReadRow
	if p.mapping.writesRows() {
		readRow = deactivation.ReadKnownFields
	}
	read, err := readRow(row)
	if err != nil {
		why := problemOf(err)
		return p.queue(chunkRow{record: r, why: &why})
	}
	request := read.Request(Source, time.Time{})
	content, ownID := contentOf(read, request, row)
	switch {
	case !p.seen.add(content):
		s.Duplicates++
		return nil
	case ownID && !p.seen.add(digestOf(request.ID)):
		return p.queue(chunkRow{record: r, why: invalid("id", "an earlier row has the same id and another content")})
	case !ownID && p.hasOtherSecret(request):
		return p.queue(chunkRow{record: r, why: invalid("row", "an earlier row asks for the same with another password or token; leave one of them out")})
	}
	return p.queue(chunkRow{record: r, ordinal: uint32(s.Rows), json: row, names: namesOf(request)}) //nolint:gosec // rows are fewer than 2^32
}

// problemOf is the problem of an error of ReadRow, which is always a *FieldError.
func problemOf(err error) problem {
	if f, ok := errors.AsType[*deactivation.FieldError](err); ok {
		return problem{f.Code, f.Error()}
	}
	return problem{deactivation.CodeInvalidField, err.Error()}
}

// contentOf returns the digest that two rows share if they ask for the same, and whether the row has an id that is not made
// from its content. The id of a row without one is made from everything but the secrets.
func contentOf(read deactivation.Row, request deactivation.Request, row json.RawMessage) (content digest, ownID bool) {
	if read.IsLetter() {
		return digestOf(request.ID, string(row)), true
	}
	id := request.ID
	if ownID = read.ID != ""; ownID {
		read.ID = ""
		id = read.Request(Source, time.Time{}).ID
	}
	return digestOf(request.ID, id, request.Password, request.IDToken, request.Code), ownID
}

// hasOtherSecret reports whether an earlier row had the same content but for its secrets, which no id is made from: two
// requests would have one id, and one outcome in the log.
func (p *planner) hasOtherSecret(r deactivation.Request) bool {
	if r.Password == "" && r.IDToken == "" && r.Code == "" {
		return p.seen.has(digestOf(r.ID))
	}
	return p.seen.has(digestOf(r.ID, r.ID, "", "", "")) || !p.seen.add(digestOf(r.ID))
}

// accept puts a row into the plan.
func (p *planner) accept(c chunkRow) {
	p.count(c)
	if p.hash == nil {
		p.hash = sha256.New()
	}
	if n := len(p.batch.Take); n > 0 && p.batch.Take[n-1][1]+1 == c.ordinal {
		p.batch.Take[n-1][1] = c.ordinal
	} else {
		p.batch.Take = append(p.batch.Take, [2]uint32{c.ordinal, c.ordinal})
	}
	p.batch.Rows++
	p.batchBytes += len(c.json)
	hashRow(p.hash, c.json)
	if p.batch.Rows >= p.job.batchRows(len(p.plan.batches)) || p.batchBytes >= maxBatchBytes {
		p.endBatch()
	}
}

// hashRow adds a row to a batch's hash. A row holds no line break.
func hashRow(to hash.Hash, row json.RawMessage) {
	to.Write(row)
	to.Write([]byte{'\n'})
}

// batchRows is the size of the batch after so many.
func (j Job) batchRows(before int) int {
	most := j.BatchRows
	if most <= 0 || most > MaxBatchRows {
		most = MaxBatchRows
	}
	switch before {
	case 0:
		return min(most, canaryRows)
	case 1:
		return min(most, secondRows)
	}
	return most
}

func (p *planner) endBatch() {
	if p.batch.Rows == 0 {
		return
	}
	p.batch.Batch = len(p.plan.batches) + 1
	p.batch.SHA256 = hex.EncodeToString(p.hash.Sum(nil))
	p.plan.batches = append(p.plan.batches, p.batch)
	p.batch, p.batchBytes, p.hash = planned{}, 0, nil
}

// count counts what a valid row names.
func (p *planner) count(c chunkRow) {
	s := &p.plan.Summary
	s.Valid++
	if c.identity != "" {
		p.licenses.add(c.identity)
	} else if !c.offline {
		s.OrderOnly++
	}
	if c.device != "" {
		p.devices.add(c.device)
	} else if !c.offline {
		s.EveryDevice++
	}
	if _, known := p.products[c.product]; c.product != "" && (known || len(p.products) < maxProducts) {
		p.products[c.product]++
	}
	if len(s.First) < shownRows {
		s.First = append(s.First, Sample{
			Line: c.line, Product: deactivation.CleanText(c.product), License: deactivation.CleanText(c.license),
			Device: deactivation.CleanText(deactivation.Shorten(c.device)), Order: deactivation.CleanText(c.order), Cause: c.cause,
		})
	}
}

func (p *planner) reject(r record, why problem) error {
	s := &p.plan.Summary
	s.Rejected++
	why.message = deactivation.CleanText(why.message)
	if len(s.FirstRejected) < shownRejected {
		s.FirstRejected = append(s.FirstRejected, RejectedRow{r.line, why.code, why.message})
	}
	return p.rejected.add(r, why)
}

// finish completes the summary.
func (p *planner) finish() error {
	s := &p.plan.Summary
	n, exact := p.licenses.count()
	s.Licenses = Number{n, !exact}
	n, exact = p.devices.count()
	s.Devices = Number{n, !exact}
	for name, rows := range p.products {
		s.Products = append(s.Products, Product{deactivation.CleanText(name), rows})
	}
	slices.SortFunc(s.Products, func(a, b Product) int {
		if a.Rows != b.Rows {
			return b.Rows - a.Rows
		}
		return compareText(a.Product, b.Product)
	})
	if len(s.Products) > shownProducts {
		s.OtherProducts = len(s.Products) - shownProducts
		s.Products = s.Products[:shownProducts]
	}
	s.Columns = p.mapping.taken
	s.Ignored = p.mapping.ignored[:min(len(p.mapping.ignored), shownIgnored)]
	size, err := p.rejected.keep(s.Rejected)
	s.RejectedBytes = size
	if s.Rows == 0 {
		return fmt.Errorf("%w: it has a header and no rows", ErrFile)
	}
	return err
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

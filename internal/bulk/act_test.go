package bulk

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

// TestAPreviewCountsAndSendsNothing: with the numbers of a file made by hand.
func TestAPreviewCountsAndSendsNothing(t *testing.T) {
	t.Parallel()
	to := &target{refuse: map[string]string{"AAAA-0003": "missing_field"}}
	j := newJob(t, "Product,License Key,Device,Order,Buyer\n"+
		"XY,AAAA-0001,device-0001,1001,jo\n"+ // 2
		"XY,AAAA-0001,device-0002,1001,jo\n"+ // 3
		"XY,AAAA-0001,device-0001,1001,jane\n"+ // 4, as 2
		"XZ,AAAA-0002,device-0003,1002,\n"+ // 5
		"XZ,AAAA-0003,device-0005,1003,\n"+ // 6: the target refuses it
		"XZ,1.2E+15,device-0004,1004,\n", to) // 7
	r := preview(t, j)
	want := Summary{
		Rows: 6, Valid: 3, Duplicates: 1, Rejected: 2, Licenses: Number{N: 2}, Devices: Number{N: 3},
		Products: []Product{{"XY", 2}, {"XZ", 1}}, Ignored: []string{"Buyer"},
		Columns: []Column{{"Product", "product"}, {"License Key", "license_key"}, {"Device", "hardware_id"}, {"Order", "order"}},
		First: []Sample{
			{2, "XY", "…0001", "…0001", "1001", "manual"}, {3, "XY", "…0001", "…0002", "1001", "manual"}, {5, "XZ", "…0002", "…0003", "1002", "manual"},
		},
		FirstRejected: []RejectedRow{
			{6, "missing_field", "license_key: refused by the test"},
			{7, "invalid_field", "license_key: is a number in scientific notation, whose last digits are lost; format the column as text and export it again"},
		},
	}
	got := r.Plan.Summary
	got.RejectedBytes = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(to.ids) > 0 || to.dryRuns != 1 {
		t.Errorf("%d rows were sent, %d dry runs; want none and one", len(to.ids), to.dryRuns)
	}
	if again := preview(t, j).Plan.Header.Run; again != r.Plan.Header.Run {
		t.Error("the same file, columns and target are another run")
	}
}

// TestTheRejectedFileHasTheInputsColumns, in the order of the file: also where the target refuses one row, and another is
// refused before it is asked.
func TestTheRejectedFileHasTheInputsColumns(t *testing.T) {
	t.Parallel()
	j := newJob(t, "product;license_key;hardware_id;note\nXY;K1;hw1;a\nXY;;hw2;\"b;c\"\nXY;1E+12;hw3\nXY;K\"4;hw4;d\n", &target{})
	preview(t, j)
	want := "product;license_key;hardware_id;note;line;reason\n" +
		"XY;;hw2;\"b;c\";3;missing_field: license_key: is missing (or username, or id_token or code with customer_account_code)\n" +
		"XY;1E+12;hw3;;4;invalid_field: license_key: is a number in scientific notation, whose last digits are lost; format the column as text and export it again\n" +
		"\"XY;K\"\"4;hw4;d\";;;;5;invalid_field: row: has a quote in a place where none may be; write it twice inside of quotes\n"
	got := read(t, j.Rejected)
	wanted, rows := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i, row := range wanted {
		if strings.ContainsAny(strings.SplitN(row, "invalid_field", 2)[0], ";") && i < len(rows) && strings.ReplaceAll(rows[i], `"`, "") != strings.ReplaceAll(row, `"`, "") {
			t.Errorf("row %d is %s, want %s", i, rows[i], row)
		}
	}
	in := csv.NewReader(strings.NewReader(got))
	in.Comma = ';'
	if all, err := in.ReadAll(); err != nil || len(all) != 4 {
		t.Errorf("%d rows, %v: want a header and three rows of valid CSV", len(all), err)
	}
}

func TestAFileWithoutRejectedRowsHasNoRejectedFile(t *testing.T) {
	t.Parallel()
	j := newJob(t, "license_key,product,hardware_id\nK1,,hw1\n", &target{})
	preview(t, j)
	read(t, j.Rejected)
	write(t, j.Path, csvOf(1))
	preview(t, j)
	if _, err := os.Stat(j.Rejected); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the rejected rows of an earlier preview are still there (%v)", err)
	}
}

// TestTheRejectedFileIsAnInput once its rows are corrected, and its own rejected file has the same columns.
func TestTheRejectedFileIsAnInput(t *testing.T) {
	t.Parallel()
	j := newJob(t, "product,license_key,hardware_id\n,K1,hw1\nXY,K2,hw2\n", &target{})
	preview(t, j)
	again := newJob(t, read(t, j.Rejected), j.Target)
	if s := preview(t, again).Plan.Summary; s.Rows != 1 || s.Rejected != 1 || !slices.Equal(s.Ignored, []string{"line", "reason"}) {
		t.Errorf("summary %+v", s)
	}
	if first, second := read(t, j.Rejected), read(t, again.Rejected); first != second {
		t.Errorf("first\n%ssecond\n%s", first, second)
	}
}

func TestAnActSendsThePlanInBatches(t *testing.T) {
	t.Parallel()
	to := &target{}
	j := newJob(t, csvOf(2345), to)
	preview(t, j)
	report, err := act(t, j, unseen())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{10, 40, 1000, 1000, 295}, to.sizes); diff != "" {
		t.Errorf("batches: %s", diff)
	}
	if report.Rows != 2345 || report.Accepted != 2345 || len(to.distinct()) != 2345 || len(to.ids) != 2345 {
		t.Errorf("report %+v, %d ids", report, len(to.ids))
	}
	if report, err = act(t, j, unseen()); err != nil || report.Rows != 2345 || len(to.ids) != 2345 {
		t.Errorf("an act of a whole run: %+v, %v, %d ids", report, err, len(to.ids))
	}
}

// TestARunThatIsKilledAtAnyBatchGoesOn: the batch in flight is sent twice at most, and every id is one.
func TestARunThatIsKilledAtAnyBatchGoesOn(t *testing.T) {
	t.Parallel()
	for killed := 1; killed <= 5; killed++ {
		for _, received := range []bool{false, true} {
			to := &target{failures: map[int]error{killed: errTest}}
			if received {
				to.before = func(batch int) {
					if batch == killed {
						to.ids = append(to.ids, "in flight")
					}
				}
			}
			j := newJob(t, csvOf(2345), to)
			preview(t, j)
			if _, err := act(t, j, unseen()); !errors.Is(err, errTest) {
				t.Fatalf("killed at %d: %v", killed, err)
			}
			report, err := act(t, j, unseen())
			if err != nil || report.Rows != 2345 {
				t.Errorf("killed at %d: %+v, %v", killed, report, err)
			}
			ids := slices.DeleteFunc(to.distinct(), func(id string) bool { return id == "in flight" })
			if len(ids) != 2345 || len(to.sizes) != 6 {
				t.Errorf("killed at %d: %d ids in batches %v", killed, len(ids), to.sizes)
			}
		}
	}
}

// TestAJournalThatIsTornAnywhereResumes: cut at each byte, the run ends with every id and no other.
func TestAJournalThatIsTornAnywhereResumes(t *testing.T) {
	t.Parallel()
	first := &target{}
	j := newJob(t, csvOf(150)+",,\nXY,,hw\n", first)
	j.BatchRows = 50
	preview(t, j)
	if _, err := act(t, j, unseen()); err != nil {
		t.Fatal(err)
	}
	whole := read(t, j.Journal)
	want := first.distinct()
	for cut := range len(whole) { // what is read of it: the lines that are whole
		s, err := readState(strings.NewReader(whole[:cut]))
		if err != nil || s.sent != strings.Count(whole[:strings.LastIndex(whole[:cut], "\n")+1], `{"sent":`) {
			t.Fatalf("cut at %d: %+v, %v", cut, s, err)
		}
	}
	for cut := range len(whole) {
		atLine := cut == 0 || whole[cut-1] == '\n' || whole[cut] == '\n' || cut > 1 && whole[cut-2] == '\n'
		if !atLine && cut%97 != 0 {
			continue // a resume costs some synced writes
		}
		to := &target{}
		j.Target = to
		write(t, j.Journal, whole[:cut])
		r, err := j.Open("jo", true)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if r.Plan == nil {
			if err := r.Preview(t.Context()); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		before, _ := r.Sent()
		report, err := act(t, j, unseen())
		if err != nil || report.Rows != 150 || r.Plan.Summary.Valid != 150 {
			t.Fatalf("cut at %d: %+v, %v", cut, report, err)
		}
		if ids := to.distinct(); len(ids) != 150-before || slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(want, id) }) {
			t.Fatalf("cut at %d: %d of %d rows were sent before, now %d ids", cut, before, 150, len(ids))
		}
		if s, err := readJournal(j.Journal); err != nil || s.sent != len(s.plan.batches) {
			t.Fatalf("cut at %d: the journal ends with %+v, %v", cut, s, err)
		}
	}
}

// TestAJournalThatIsDamagedInsideIsRefused: a flipped bit is not what a kill leaves.
func TestAJournalThatIsDamagedInsideIsRefused(t *testing.T) {
	t.Parallel()
	j := newJob(t, csvOf(150), &target{})
	preview(t, j)
	if _, err := act(t, j, unseen()); err != nil {
		t.Fatal(err)
	}
	whole := read(t, j.Journal)
	last := strings.LastIndex(strings.TrimSuffix(whole, "\n"), "\n") + 1
	for at := range last - 1 {
		damaged := []byte(whole)
		damaged[at] ^= 0x20
		write(t, j.Journal, string(damaged))
		if _, err := j.Open("jo", true); !errors.Is(err, ErrJournal) {
			t.Fatalf("byte %d: %v, want the journal refused", at, err)
		}
	}
}

func TestAFileThatChangedAfterThePreviewSendsNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Job){
		"a row more":       func(j *Job) { write(t, j.Path, csvOf(31)) },
		"another row":      func(j *Job) { write(t, j.Path, strings.Replace(csvOf(30), "KEY-B", "KEY-X", 1)) },
		"a blank":          func(j *Job) { write(t, j.Path, csvOf(30)+"\n") },
		"another column":   func(j *Job) { j.Columns.Map = map[string]string{"product": "product"} },
		"another constant": func(j *Job) { j.Columns.Set = map[string]string{"cause": "refund"} },
		"another target":   func(j *Job) { j.TargetName = "other" },
	} {
		to := &target{}
		j := newJob(t, csvOf(30), to)
		preview(t, j)
		change(&j)
		if _, err := act(t, j, unseen()); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
		}
		if len(to.ids) > 0 {
			t.Errorf("%s: %d rows were sent", name, len(to.ids))
		}
		if r, err := j.Open("jo", false); err != nil || r.Plan != nil {
			t.Errorf("%s: a new preview is refused (%v)", name, err)
		}
	}
}

func TestAFileThatChangesWhileItIsSentStopsTheRun(t *testing.T) {
	t.Parallel()
	to := &target{}
	j := newJob(t, csvOf(60_000), to) // longer than what is read ahead
	preview(t, j)
	content := read(t, j.Path)
	to.before = func(batch int) {
		if batch == 1 {
			at := strings.LastIndex(content, "KEY-")
			write(t, j.Path, content[:at]+"KEY!"+content[at+4:])
		}
	}
	report, err := act(t, j, unseen())
	if !errors.Is(err, ErrChanged) || report.Rows == 0 || report.Rows == 60_000 {
		t.Errorf("%+v, %v: want the run stopped at the row that changed", report, err)
	}
	if _, err := j.Open("jo", false); !errors.Is(err, ErrChanged) {
		t.Errorf("a preview of the changed file: %v, want it refused: a run has begun", err)
	}
}

func TestOnlyOneProcessActsOnAJournal(t *testing.T) {
	t.Parallel()
	j := newJob(t, csvOf(3), &target{})
	r := preview(t, j)
	a, err := r.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := act(t, j, unseen()); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
	a.Close()
	if _, err := act(t, j, unseen()); err != nil {
		t.Error(err)
	}
}

// TestAPreviewNeverReplacesARunThatActs: of two operators with one file, one previews while the other begins.
func TestAPreviewNeverReplacesARunThatActs(t *testing.T) {
	t.Parallel()
	f := &target{}
	j := newJob(t, csvOf(20), f)
	r := preview(t, j)
	other, err := j.Open("ada", false)
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Preview(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("while it acts: %v, want ErrBusy", err)
	}
	if err := a.Audit(deactivation.Audit{Phase: deactivation.AuditBegin, Actor: "jo", Comment: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Send(t.Context(), unseen()); err != nil {
		t.Fatal(err)
	}
	a.Close()
	before := read(t, j.Journal)
	if err := other.Preview(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("after it acted: %v, want ErrBusy", err)
	}
	if read(t, j.Journal) != before {
		t.Error("the journal was replaced")
	}
}

// TestALockIsWaitedForAMoment: another process is at its last step.
func TestALockIsWaitedForAMoment(t *testing.T) {
	t.Parallel()
	j := newJob(t, csvOf(3), &target{})
	a, err := preview(t, j).Begin()
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*lockAgain, a.Close)
	if _, err := act(t, j, unseen()); err != nil {
		t.Error(err)
	}
}

// TestNobodyBeginsDuringAPreview: the act would read a plan that is about to be replaced.
func TestNobodyBeginsDuringAPreview(t *testing.T) {
	t.Parallel()
	f := &target{}
	j := newJob(t, csvOf(20), f)
	r := preview(t, j)
	asked := &asking{target: f, during: func() {
		if a, err := r.Begin(); !errors.Is(err, ErrBusy) {
			t.Errorf("%v, %v, want ErrBusy", a, err)
		}
	}}
	again := j
	again.Target = asked
	preview(t, again)
	if _, err := act(t, j, unseen()); err != nil || len(f.distinct()) != 20 {
		t.Errorf("%d of 20 rows sent, %v", len(f.distinct()), err)
	}
}

// TestAPreviewReadsOnWhileTheTargetAnswers: the first dry run ends only after its rows are counted as read.
func TestAPreviewReadsOnWhileTheTargetAnswers(t *testing.T) {
	t.Parallel()
	readOn := make(chan struct{})
	var once sync.Once
	f := &target{}
	j := newJob(t, csvOf(3*MaxBatchRows), &asking{target: f, during: func() { <-readOn }})
	j.Progress = func(p Progress) {
		if p.Rows >= MaxBatchRows {
			once.Do(func() { close(readOn) })
		}
	}
	if r := preview(t, j); r.Plan.Summary.Valid != 3*MaxBatchRows || f.dryRuns != 3 {
		t.Errorf("%d valid rows in %d dry runs", r.Plan.Summary.Valid, f.dryRuns)
	}
}

// TestAPreviewEndsWithItsTarget: a dry run that fails ends it, and none is left behind.
func TestAPreviewEndsWithItsTarget(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	failing := targetFunc(func(ctx context.Context, b Batch) (Answer, error) {
		running.Add(1)
		defer running.Add(-1)
		return Answer{}, errTest
	})
	r, err := newJob(t, csvOf(5*MaxBatchRows), failing).Open("jo", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Preview(t.Context()); !errors.Is(err, errTest) || running.Load() != 0 {
		t.Errorf("%v, %d dry runs are under way", err, running.Load())
	}
}

type targetFunc func(ctx context.Context, b Batch) (Answer, error)

func (f targetFunc) Send(ctx context.Context, b Batch) (Answer, error) { return f(ctx, b) }

// asking is a target that calls during at each batch.
type asking struct {
	*target
	during func()
}

func (a *asking) Send(ctx context.Context, b Batch) (Answer, error) {
	a.during()
	return a.target.Send(ctx, b)
}

// TestAPreviewThatFailsLeavesNoJournal: the file has no row.
func TestAPreviewThatFailsLeavesNoJournal(t *testing.T) {
	t.Parallel()
	j := newJob(t, "product,license_key\n", &target{})
	r, err := j.Open("jo", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Preview(t.Context()); !errors.Is(err, ErrFile) {
		t.Errorf("%v, want ErrFile", err)
	}
	if _, err := os.Stat(j.Journal); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want no journal", err)
	}
}

// TestRowsWithOneIDAreOneOrRejected: a row without an id has one from its content.
func TestRowsWithOneIDAreOneOrRejected(t *testing.T) {
	t.Parallel()
	j := newJob(t, "id,product,license_key,hardware_id\na,XY,K1,hw1\na,XY,K1,hw1\na,XY,K2,hw2\n,XY,K3,hw3\n,XY,K3,hw3\n", &target{})
	s := preview(t, j).Plan.Summary
	want := []RejectedRow{{4, "invalid_field", "id: an earlier row has the same id and another content"}}
	if s.Valid != 2 || s.Duplicates != 2 || cmp.Diff(want, s.FirstRejected) != "" {
		t.Errorf("summary %+v", s)
	}
}

// TestRowsWithOneIDAndOtherSecretsAreRejected: no id is made from a password. --wait would wait for a second outcome.
func TestRowsWithOneIDAndOtherSecretsAreRejected(t *testing.T) {
	t.Parallel()
	const header, why = "product,username,password,hardware_id\n", "row: an earlier row asks for the same with another password or token; leave one of them out"
	for name, rows := range map[string][]string{
		"two passwords":        {"XY,jo,one,hw1", "XY,jo,two,hw1"},
		"the first without":    {"XY,jo,,hw1", "XY,jo,two,hw1"},
		"the second without":   {"XY,jo,one,hw1", "XY,jo,,hw1"},
		"three, two are equal": {"XY,jo,one,hw1", "XY,jo,two,hw1", "XY,jo,one,hw1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &target{}
			j := newJob(t, header+strings.Join(rows, "\n")+"\nXY,jo,one,hw2\n", f)
			s := preview(t, j).Plan.Summary
			if want := []RejectedRow{{3, "invalid_field", why}}; s.Valid != 2 || cmp.Diff(want, s.FirstRejected) != "" {
				t.Errorf("summary %+v", s)
			}
			if _, err := act(t, j, unseen()); err != nil || len(f.distinct()) != s.Valid {
				t.Errorf("%d ids of %d valid rows, %v", len(f.distinct()), s.Valid, err)
			}
		})
	}
}

func TestRowsThatTheQueueDoesNotAcceptAreSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &target{hold: map[string]int{"K1": 3}}
		j := newJob(t, "product,license_key,hardware_id\nXY,K1,hw1\nXY,K2,hw2\n", to)
		preview(t, j)
		began := time.Now()
		if report, err := act(t, j, unseen()); err != nil || report.Accepted != 2 || len(to.distinct()) != 2 || time.Since(began) != 7*time.Second {
			t.Errorf("%+v, %v after %v", report, err, time.Since(began))
		}
		never := &target{hold: map[string]int{"K1": 100}}
		j = newJob(t, "product,license_key,hardware_id\nXY,K1,hw1\n", never)
		preview(t, j)
		if report, err := act(t, j, unseen()); err == nil || report.Rows != 0 || len(never.sizes) != 7 {
			t.Errorf("%+v, %v, %d attempts: want an error and nothing in the journal", report, err, len(never.sizes))
		}
	})
}

// TestRowsThatTheTargetRejectsLaterAreInTheRejectedFile, also when the run is killed before their line in the journal.
func TestRowsThatTheTargetRejectsLaterAreInTheRejectedFile(t *testing.T) {
	t.Parallel()
	to := &target{}
	j := newJob(t, csvOf(100)+"XY,,hw\n", to)
	preview(t, j)
	to.refuse = map[string]string{"KEY-A000-0": "unknown_product", "KEY-L000-11": "unknown_product"}
	if _, err := act(t, j, unseen()); err != nil {
		t.Fatal(err)
	}
	want := read(t, j.Rejected)
	if n := strings.Count(want, "\n"); n != 4 || strings.Count(want, "unknown_product: license_key: refused by the test") != 2 {
		t.Fatalf("rejected:\n%s", want)
	}
	journal := read(t, j.Journal)
	lines := strings.SplitAfter(strings.TrimSuffix(journal, "\n"), "\n")
	write(t, j.Journal, strings.Join(lines[:len(lines)-2], "")) // without its second and third batch
	if report, err := act(t, j, unseen()); err != nil || report.Rejected != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	if got := read(t, j.Rejected); got != want {
		t.Errorf("rejected after a kill:\n%s\nwant\n%s", got, want)
	}
}

// outcomesOf returns outcomes in turn, the last one for ever.
func outcomesOf(asked *int, counts ...map[deactivation.Outcome]int) Outcomes {
	return func(context.Context, string) (Counts, error) {
		i := min(*asked, len(counts)-1)
		*asked++
		return Counts{Outcomes: counts[i]}, nil
	}
}

func TestTheOutcomesOfTheFirstRowsDecideAboutTheRest(t *testing.T) {
	t.Parallel()
	type outcomes = map[deactivation.Outcome]int
	const ok, bad, wait = deactivation.Deactivated, deactivation.Rejected, deactivation.Deferred
	for name, c := range map[string]struct {
		counts []outcomes
		sizes  []int
		took   time.Duration
		want   string
	}{
		"all well":             {[]outcomes{{ok: 10}, {ok: 50}}, []int{10, 40, 50}, 0, ""},
		"they take a moment":   {[]outcomes{{}, {ok: 4, wait: 6}, {ok: 10}, {ok: 50}}, []int{10, 40, 50}, 1250 * time.Millisecond, ""},
		"already inactive":     {[]outcomes{{deactivation.AlreadyInactive: 10}, {deactivation.AlreadyInactive: 50}}, []int{10, 40, 50}, 0, ""},
		"a fifth fails":        {[]outcomes{{ok: 8, bad: 2}, {ok: 40, bad: 10}}, []int{10, 40, 50}, 0, ""},
		"many of ten fail":     {[]outcomes{{ok: 1, bad: 9}, {ok: 40, bad: 10}}, []int{10, 40, 50}, 0, ""},
		"all of ten fail":      {[]outcomes{{}, {bad: 3}, {bad: 10}}, []int{10}, 1250 * time.Millisecond, "bulk: stopped: the first 10 rows are all rejected: 10 rejected"},
		"more of fifty fail":   {[]outcomes{{ok: 10}, {ok: 20}, {ok: 20, bad: 11}}, []int{10, 40}, 500 * time.Millisecond, "bulk: stopped: of the first 50 rows more than 20 % are rejected: 20 deactivated, 11 rejected"},
		"none in time":         {[]outcomes{{wait: 2, ok: 1}}, []int{10}, time.Minute, "bulk: stopped: 9 of the first 10 rows have no final outcome after 1m0s: 1 deactivated, 2 deferred"},
		"none at all, in time": {[]outcomes{{}}, []int{10}, time.Minute, "bulk: stopped: 10 of the first 10 rows have no final outcome after 1m0s: no outcome"},
		"late in the second":   {[]outcomes{{ok: 10}, {ok: 49}}, []int{10, 40}, time.Minute, "bulk: stopped: 1 of the first 50 rows have no final outcome after 1m0s: 49 deactivated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				to := &target{}
				j := newJob(t, csvOf(100), to)
				preview(t, j)
				asked := 0
				began := time.Now()
				s := Sending{Outcomes: outcomesOf(&asked, c.counts...), Canary: Canary{MaxFailing: 0.2, Patience: time.Minute}}
				_, err := act(t, j, s)
				if diff := cmp.Diff(c.sizes, to.sizes); diff != "" {
					t.Errorf("batches: %s", diff)
				}
				if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") || err != nil && !errors.Is(err, ErrStopped) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if took := time.Since(began); c.took < time.Minute && took != c.took || c.took == time.Minute && (took < c.took || took > c.took+lastLook) {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if err == nil {
					return
				}
				sent := len(to.sizes)
				if _, err := act(t, j, s); !errors.Is(err, ErrStopped) || len(to.sizes) != sent {
					t.Errorf("resumed: %v, %v: want it stopped again, with nothing sent", err, to.sizes)
				}
			})
		})
	}
}

func TestWithoutOutcomesOnlyTheCanaryIsSent(t *testing.T) {
	t.Parallel()
	to := &target{}
	j := newJob(t, csvOf(100), to)
	preview(t, j)
	if _, err := act(t, j, Sending{Canary: Canary{MaxFailing: 0.2}}); !errors.Is(err, ErrStopped) || len(to.ids) != 10 {
		t.Errorf("%v, %d ids", err, len(to.ids))
	}
	failing := func(context.Context, string) (Counts, error) { return Counts{}, errTest }
	if _, err := act(t, j, Sending{Outcomes: failing, Canary: Canary{MaxFailing: 0.2}}); !errors.Is(err, ErrStopped) || !errors.Is(err, errTest) || len(to.ids) != 10 {
		t.Errorf("%v, %d ids", err, len(to.ids))
	}
	if _, err := act(t, j, unseen()); err != nil || len(to.ids) != 100 {
		t.Errorf("with the canary off: %v, %d ids", err, len(to.ids))
	}
}

// TestATargetThatWaitsForOutcomesIsItsOwnSource, also of those that an earlier process sent.
func TestATargetThatWaitsForOutcomesIsItsOwnSource(t *testing.T) {
	t.Parallel()
	to := &target{settle: deactivation.Deactivated, failures: map[int]error{2: errTest}}
	j := newJob(t, csvOf(60), to)
	j.BatchRows = 10
	preview(t, j)
	s := Sending{Canary: Canary{MaxFailing: 0.2}}
	if _, err := act(t, j, s); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	report, err := act(t, j, s)
	if err != nil || report.Outcomes.Outcomes[deactivation.Deactivated] != 60 {
		t.Errorf("%+v, %v", report, err)
	}
	to = &target{settle: deactivation.Rejected}
	j = newJob(t, csvOf(60), to)
	preview(t, j)
	if _, err := act(t, j, s); !errors.Is(err, ErrStopped) || len(to.ids) != 10 {
		t.Errorf("all rejected: %v, %d ids", err, len(to.ids))
	}
}

func TestAnActThatIsCancelledReportsWhatItSent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	to := &target{before: func(batch int) {
		if batch == 2 {
			cancel()
		}
	}}
	j := newJob(t, csvOf(5000), to)
	r := preview(t, j)
	a, err := r.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	report, err := a.Send(ctx, Sending{Outcomes: func(context.Context, string) (Counts, error) {
		return Counts{Outcomes: map[deactivation.Outcome]int{deactivation.Deactivated: len(to.ids)}}, nil
	}, Canary: Canary{MaxFailing: 0.2, Patience: time.Minute}})
	if !errors.Is(err, context.Canceled) || report.Rows != len(to.ids) || report.Rows < 50 {
		t.Errorf("%+v, %v, %d ids", report, err, len(to.ids))
	}
}

func TestFollowEndsWithTheLastOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		counts, err := Follow(t.Context(), "run", 3, outcomesOf(&asked, map[deactivation.Outcome]int{}, map[deactivation.Outcome]int{deactivation.Deferred: 3},
			map[deactivation.Outcome]int{deactivation.Deactivated: 2, deactivation.Rejected: 1}), func(Progress) {})
		if err != nil || asked != 3 || counts.String() != "2 deactivated, 1 rejected" {
			t.Errorf("%v, %v, asked %d times", counts, err, asked)
		}
	})
}

// TestTheShareOfASmallFileIsCertainEarly: three of twelve rows are more than a fifth, whatever the last two do.
func TestTheShareOfASmallFileIsCertainEarly(t *testing.T) {
	t.Parallel()
	for rows, want := range map[int]int{12: 10, 15: 15} {
		to, asked := &target{}, 0
		j := newJob(t, csvOf(rows), to)
		preview(t, j)
		s := Sending{
			Outcomes: outcomesOf(&asked, map[deactivation.Outcome]int{deactivation.Deactivated: 7, deactivation.Rejected: 3}),
			Canary:   Canary{MaxFailing: 0.2, Patience: time.Minute},
		}
		report, err := act(t, j, s)
		if report.Rows != want || errors.Is(err, ErrStopped) != (want < rows) {
			t.Errorf("%d rows: %d sent, %v; want %d", rows, report.Rows, err, want)
		}
	}
}

// TestARejectedRunGoesOnOnceItsRowsSucceed: its letters were redriven.
func TestARejectedRunGoesOnOnceItsRowsSucceed(t *testing.T) {
	t.Parallel()
	to := &target{}
	j := newJob(t, csvOf(30), to)
	preview(t, j)
	var tally Tally
	s := Sending{
		Outcomes: func(context.Context, string) (Counts, error) { return tally.Counts(), nil },
		Canary:   Canary{MaxFailing: 0.2, Patience: time.Minute},
	}
	for n := range 10 {
		tally.Add(itoa(n), deactivation.Rejected, "unknown_product")
	}
	if report, err := act(t, j, s); !errors.Is(err, ErrStopped) || report.Rows != 10 {
		t.Fatalf("%d sent, %v", report.Rows, err)
	}
	for n := range 10 {
		tally.Add(itoa(n), deactivation.Deactivated, "")
	}
	if report, err := act(t, j, s); err != nil || report.Rows != 30 {
		t.Errorf("after a redrive: %d sent, %v", report.Rows, err)
	}
}

//go:build integration && soak

package integration

import (
	"testing"
	"time"
)

// soakLetters is how many letters of each of the seven reasons the soak redrives.
const soakLetters = 300

// TestSoakRedrive redrives one reason of seven on ElasticMQ and kills the command (kill -9) twice. Each kill leaves at
// most the batch of that moment in both queues, and no letter is lost.
//
//nolint:paralleltest // each soak has the machine to itself
func TestSoakRedrive(t *testing.T) {
	random := rngOf(soakSeed(t), 14)
	d := newDeadLetters(t, buildLicensectl(t), startElasticMQ(t).endpoint, soakLetters)
	const kills = 2
	for k := range kills {
		left := d.held(t)
		sent := depthNow(t, d.endpoint, d.jobs)
		d.killAfter(t, sent+1+random.IntN(soakLetters/(kills+1)), d.redrive(left, "--per-second", "200"))
		t.Logf("kill %d: %d letters before it, %d messages after it", k+1, left, depthNow(t, d.endpoint, d.jobs))
	}
	left := d.held(t)
	begin := time.Now()
	if out, code := runLicensectl(t, d.licensectl, d.redrive(left, "--per-second", "1000000")...); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	took := time.Since(begin)
	twice := d.check(t, kills*10)
	t.Logf("%d of %d letters were redriven last, in %v (the look at %d letters included); %d were in both queues after %d kills",
		left, soakLetters, took.Round(time.Millisecond), left+6*soakLetters, twice, kills)
}

package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const (
	// assumedCallsPerSecond is the template's default, for a stack whose settings cannot be read.
	assumedCallsPerSecond = 10

	// directPerSecond is the pace of --direct: it runs beside live license checks, and no stack keeps their share.
	directPerSecond = 1

	// freePlanPerMinute is the smallest of the vendor's plans: https://docs.licensespring.com/license-api/rate-limiting
	freePlanPerMinute = 1800
)

// paceFlags say how fast the License API is called, and what the vendor's plan allows. The preview estimates the time and
// the share of the quota from them; with --direct the first one is obeyed.
type paceFlags struct {
	callsPerSecond     float64
	planCallsPerMinute int
	from               string // where the pace comes from, for a person
}

func (p *paceFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&p.callsPerSecond, "calls-per-second", 0, "calls to the License API a second: with --direct the pace (default 1), else what the preview estimates with (default: the stack's)")
	cmd.Flags().IntVar(&p.planCallsPerMinute, "plan-calls-per-minute", 0, "what the vendor's plan allows, for the share of the quota (default: the stack's, or the smallest plan)")
}

func (p *paceFlags) check() error {
	switch {
	case !(p.callsPerSecond >= 0) || math.IsInf(p.callsPerSecond, 0):
		return misused("give a number above 0", "--calls-per-second %v is out of range", p.callsPerSecond)
	case p.planCallsPerMinute < 0:
		return misused("give a number above 0", "--plan-calls-per-minute %d is out of range", p.planCallsPerMinute)
	}
	return nil
}

// direct returns the pace of --direct.
func (p *paceFlags) direct() float64 {
	if p.callsPerSecond == 0 {
		return directPerSecond
	}
	return p.callsPerSecond
}

// read fills in what no flag says: from the worker function of the stack, else the defaults.
func (p *paceFlags) read(ctx context.Context, o *deactivateOptions) {
	switch {
	case o.toAPI:
		p.callsPerSecond = p.direct()
		return
	case p.callsPerSecond > 0:
		return
	}
	if o.at.stack != "" || o.at.isLocal() {
		variables, err := o.at.variables(ctx, o.at.of(workerFunctionName))
		calls, bad := strconv.ParseFloat(variables["CALLS_PER_SECOND"], 64)
		if err == nil && bad == nil && calls > 0 {
			p.callsPerSecond, p.from = calls, ", as the worker is set"
			if plan, err := strconv.Atoi(variables["PLAN_CALLS_PER_MINUTE"]); err == nil && p.planCallsPerMinute == 0 {
				p.planCallsPerMinute = plan
			}
			if share, err := strconv.ParseFloat(variables["LIVE_SHARE"], 64); err == nil && p.planCallsPerMinute > 0 {
				p.callsPerSecond = min(p.callsPerSecond, float64(p.planCallsPerMinute)*(1-share)/60)
			}
			return
		}
	}
	p.callsPerSecond, p.from = assumedCallsPerSecond, ", the template's default"
}

// time is how long that many calls take.
func (p *paceFlags) time(calls int) time.Duration {
	return time.Duration(float64(calls) / p.callsPerSecond * float64(time.Second))
}

// quota describes the share of the plan.
func (p *paceFlags) quota() string {
	perMinute, plan, name := 60*p.callsPerSecond, p.planCallsPerMinute, "the plan"
	if plan == 0 {
		plan, name = freePlanPerMinute, "the smallest plan"
	}
	return fmt.Sprintf("%.0f calls a minute, %.0f %% of %s (%d)", perMinute, 100*perMinute/float64(plan), name, plan)
}

// roughly is a duration for a person.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h %.0f min", math.Floor(d.Hours()), math.Floor(d.Minutes())-60*math.Floor(d.Hours()))
}

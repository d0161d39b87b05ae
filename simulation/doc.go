// Package simulation runs the whole system in virtual time, by seed, with faults, and checks that nothing was lost.
package simulation

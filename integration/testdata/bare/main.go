// Command bare is the least that Lambda can run in Go. `make bench` measures the functions beside it.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }

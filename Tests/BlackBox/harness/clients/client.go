// SPDX-License-Identifier: Apache-2.0
// Three requests with net/http; prints one status a line.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	url, token, mode := os.Args[1], os.Args[2], os.Args[3]
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		ExpectContinueTimeout: 10 * time.Second,
	}}
	task := `{"type":"go","payload":"` + strings.Repeat("x", 200000) + `"}`
	for _, each := range [][3]string{
		{"GET", "/healthz", ""}, {"POST", "/api/tasks", task}, {"GET", "/api/stats", ""},
	} {
		var body io.Reader
		if each[2] != "" {
			body = strings.NewReader(each[2])
		}
		request, fault := http.NewRequest(each[0], url+each[1], body)
		check(fault)
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		if mode == "expect" && body != nil {
			request.Header.Set("Expect", "100-continue")
		}
		if mode == "chunked" && body != nil {
			request.ContentLength = -1
		}
		answer, fault := client.Do(request)
		check(fault)
		_, fault = io.Copy(io.Discard, answer.Body)
		check(fault)
		answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
}

func check(fault error) {
	if fault != nil {
		fmt.Fprintln(os.Stderr, fault)
		os.Exit(1)
	}
}

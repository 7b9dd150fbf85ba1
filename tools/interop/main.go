// Interop is the other side of `npm run interop`: it reads the CARs of Cairn with go-car, writes CARs
// for Cairn to read, and does the same with age.
//
//	interop check DIR          every CAR in the folder against its sidecar
//	interop write CAR DIR      the blocks of a CARv1 in each form that go-car writes
//	interop keygen FILE        a secret key into the file, its public key to stdout
//	interop encrypt RECIPIENT FROM TO
//	interop decrypt IDENTITY-FILE FROM TO
//
// `check` prints a line for each check, "ok ..." or "FAILED ..."; the others say nothing unless they fail.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	command := ""
	if len(args) > 0 {
		command = fmt.Sprintf("%s %d", args[0], len(args)-1)
	}
	switch command {
	case "check 1":
		return checkFolder(args[1])
	case "write 2":
		return writeForms(args[1], args[2])
	case "keygen 1":
		return makeKey(args[1])
	case "encrypt 3":
		return encrypt(args[1], args[2], args[3])
	case "decrypt 3":
		return decrypt(args[1], args[2], args[3])
	}
	return fmt.Errorf("usage: interop check|write|keygen|encrypt|decrypt ..., not %q", args)
}

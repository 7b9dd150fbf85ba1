module cairn.test/histories

go 1.26.5

require github.com/anishathalye/porcupine v1.3.1

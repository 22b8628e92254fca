"""The rules of diagnosis, one idea a file: each looks at a scene and gives what it finds."""

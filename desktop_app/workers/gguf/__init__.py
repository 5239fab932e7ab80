"""Write a model as one GGUF file, llama.cpp's format: names, vocabulary, block formats, all of it streaming."""

// Model files that are missing, damaged or of another kind.
#pragma once

void wrong_model_files();

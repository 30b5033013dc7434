UPDATE feed SET gone = 2, failures = 2, problem = 'not found (HTTP 404 or 410)';

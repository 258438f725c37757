"""Texts that shells, YARN, Spark and templates would each read in a way of their own."""

ODD = 'a b"c$HOME`id`\\{{x}}}{<CPS>,#%41*[1]?ü🎈'
